// SPDX-License-Identifier: Apache-2.0
// The cuBLASLt stand-in against products in double precision that share no code with it: every
// transposition, order, stride and epilogue at odd sizes; and its refusals.
#include <cublasLt.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tests/cudacpu/cublaslt_product.h"
#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {
namespace {

using cudacpu::clear_faults;

class CublasLtStandIn : public HostRuntimeTest {};

constexpr std::pair<cudaDataType_t, cudaDataType_t> kTypes[] = {{CUDA_R_32F, CUDA_R_32F},
                                                                {CUDA_R_16BF, CUDA_R_16BF},
                                                                {CUDA_R_16BF, CUDA_R_32F},
                                                                {CUDA_R_64F, CUDA_R_64F}};

TEST_F(CublasLtStandIn, EveryTranspositionOrderAndType) {
  for (const auto& [in, out] : kTypes) {
    for (int bits = 0; bits < 32; ++bits) {
      Product product({.m = 33,
                       .n = 19,
                       .k = 21,
                       .ta = (bits & 1) != 0,
                       .tb = (bits & 2) != 0,
                       .a_rows = (bits & 4) != 0,
                       .b_rows = (bits & 8) != 0,
                       .d_rows = (bits & 16) != 0,
                       .in = in,
                       .out = out});
      product.run();
      product.check();
    }
  }
}

TEST_F(CublasLtStandIn, OddSizesBatchesAlphaAndBeta) {
  for (const auto& [in, out] : kTypes) {
    for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1}, {1, 65, 3}, {67, 1, 130}}) {
      for (const int batch : {1, 3}) {
        for (const double beta : {0.0, 1.0, -0.5}) {
          Product product({.m = m,
                           .n = n,
                           .k = k,
                           .tb = true,
                           .batch = batch,
                           .in = in,
                           .out = out,
                           .alpha = beta == 0 ? 1 : 1.5,
                           .beta = beta});
          product.run();
          product.check();
        }
      }
    }
  }
}

TEST_F(CublasLtStandIn, EveryEpilogue) {
  for (const auto& [in, out] : kTypes) {
    if (out == CUDA_R_64F) continue;
    for (const uint32_t epilogue :
         {CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS,
          CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU,
          CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB}) {
      Product product({.m = 13,
                       .n = 37,
                       .k = 11,
                       .ta = true,
                       .in = in,
                       .out = out,
                       .epilogue = epilogue,
                       .alpha = 0.25});
      product.run();
      product.check();
    }
  }
}

TEST_F(CublasLtStandIn, WorkspaceIsAskedForAndChecked) {
  Product product({.m = 3, .n = 3, .k = 100});
  product.offered_workspace = 1 << 20;
  product.given_workspace = 2 * 3 * 3 * 4;
  product.run();
  product.check();
  product.given_workspace -= 1;
  product.run();
  EXPECT_EQ(product.status, CUBLAS_STATUS_INVALID_VALUE);
  expect_report("workspace of 72 bytes, found 71");
}

TEST_F(CublasLtStandIn, RefusesWhatTheLibraryDoesNotSupport) {
  Product bias_in_double({.in = CUDA_R_64F, .out = CUDA_R_64F, .epilogue = CUBLASLT_EPILOGUE_BIAS});
  bias_in_double.run();
  EXPECT_EQ(bias_in_double.status, CUBLAS_STATUS_NOT_SUPPORTED);
  Product mixed({.in = CUDA_R_32F, .out = CUDA_R_16BF});
  mixed.run();
  EXPECT_EQ(mixed.status, CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(CublasLtStandIn, AlgorithmsAreBoundToAlignment) {
  Product product({});
  product.alignment = 512;  // device memory is aligned to 256
  product.run();
  EXPECT_EQ(product.status, CUBLAS_STATUS_INVALID_VALUE);
  expect_report("aligned to 512 bytes");
}

// Descriptors made by hand, for what Product always does right.
class Raw {
 public:
  Raw() {
    EXPECT_EQ(cublasLtCreate(&handle_), 0);
    EXPECT_EQ(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 4, 3, 4), 0);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, 3, 2, 3), 0);
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&d, CUDA_R_32F, 4, 2, 4), 0);
  }
  ~Raw() {
    for (cublasLtMatrixLayout_t one : {a, b, d}) EXPECT_EQ(cublasLtMatrixLayoutDestroy(one), 0);
    EXPECT_EQ(cublasLtMatmulDescDestroy(operation), 0);
    EXPECT_EQ(cublasLtDestroy(handle_), 0);
  }
  cublasStatus_t run(const float* left, const float* right, float* out, float beta = 0) {
    const float one = 1;
    return cublasLtMatmul(handle_, operation, &one, left, a, right, b, &beta, out, d, out, d,
                          nullptr, nullptr, 0, nullptr);
  }
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;

 private:
  cublasLtHandle_t handle_ = nullptr;
};

TEST_F(CublasLtStandIn, RefusesMisuse) {
  const std::vector<float> twelve(12, 1), six(6, 2);
  DeviceArray<float> left(twelve), right(six), out(8), unwritten(12);
  Raw raw;
  ASSERT_EQ(raw.run(left.data(), right.data(), out.data()), 0);
  EXPECT_EQ(out.host(), std::vector<float>(8, 6));

  EXPECT_EQ(raw.run(twelve.data(), right.data(), out.data()), CUBLAS_STATUS_INVALID_VALUE);
  expect_report("A: expected 48 bytes of device memory, found");
  EXPECT_EQ(raw.run(right.data(), right.data(), out.data()), CUBLAS_STATUS_INVALID_VALUE);
  expect_report("A: expected 48 bytes of device memory, found byte 0 of device allocation");
  EXPECT_EQ(raw.run(left.data(), right.data(), left.data() + 4), CUBLAS_STATUS_INVALID_VALUE);
  expect_report("overlaps D");

  int64_t ld = 3;
  ASSERT_EQ(cublasLtMatrixLayoutSetAttribute(raw.a, CUBLASLT_MATRIX_LAYOUT_LD, &ld, 8), 0);
  EXPECT_EQ(raw.run(left.data(), right.data(), out.data()), CUBLAS_STATUS_INVALID_VALUE);
  expect_report("A: expected a leading dimension of at least 4, found 3");
  ld = 4;
  ASSERT_EQ(cublasLtMatrixLayoutSetAttribute(raw.a, CUBLASLT_MATRIX_LAYOUT_LD, &ld, 8), 0);

  const int32_t transpose = CUBLAS_OP_T;
  ASSERT_EQ(cublasLtMatmulDescSetAttribute(raw.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose,
                                           sizeof(transpose)),
            0);
  EXPECT_EQ(raw.run(left.data(), right.data(), out.data()), CUBLAS_STATUS_INVALID_VALUE);
  expect_report("shapes do not fit: op(A) 3 x 4, op(B) 3 x 2");
  EXPECT_EQ(
      cublasLtMatmulDescSetAttribute(raw.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, 1),
      CUBLAS_STATUS_INVALID_VALUE);
  expect_report("expected a value of 4 bytes, found 1");
}

TEST_F(CublasLtStandIn, OperandsThatNobodyHasWrittenAreAFault) {
  DeviceArray<float> left(std::vector<float>(12, 1)), right(std::vector<float>(6, 2));
  DeviceArray<float> unwritten(12), out(8);
  Raw raw;
  EXPECT_EQ(raw.run(unwritten.data(), right.data(), out.data()), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  clear_faults();
  expect_report("A holds byte 0 of device allocation");
  // With beta, C is an operand too; without, it may hold anything.
  EXPECT_EQ(raw.run(left.data(), right.data(), out.data(), 1), CUBLAS_STATUS_EXECUTION_FAILED);
  clear_faults();
  expect_report("C holds byte 0 of device allocation");
  ASSERT_EQ(raw.run(left.data(), right.data(), out.data()), 0);
  ASSERT_EQ(raw.run(left.data(), right.data(), out.data(), 1), 0);
  EXPECT_EQ(out.host(), std::vector<float>(8, 12));
}

}  // namespace
}  // namespace funnel::testing
