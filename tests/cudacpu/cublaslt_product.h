// SPDX-License-Identifier: Apache-2.0
// One product given to the cuBLASLt stand-in with all its operands, and its check against double
// precision; for cublaslt_test.cc.
#pragma once

#include <cublasLt.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/cudacpu/device_memory.h"

namespace funnel::testing {

struct Case {
  int64_t m = 7, n = 5, k = 9;
  bool ta = false, tb = false;
  bool a_rows = false, b_rows = false, d_rows = false;  // row order
  int batch = 1;
  cudaDataType_t in = CUDA_R_32F, out = CUDA_R_32F;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  double alpha = 1, beta = 0;
};

// A stored matrix: logical element (i, j) of matrix b at `at(b, i, j)`.
struct Stored {
  int64_t rows, cols, ld, stride;
  bool by_rows;
  std::vector<double> values;
  Stored(int64_t rows, int64_t cols, bool by_rows, int batch, int64_t margin)
      : rows(rows),
        cols(cols),
        ld((by_rows ? cols : rows) + margin),
        stride(ld * (by_rows ? rows : cols) + 3),
        by_rows(by_rows),
        values(stride * batch, 0) {}
  int64_t at(int64_t b, int64_t i, int64_t j) const {
    return b * stride + (by_rows ? i * ld + j : j * ld + i);
  }
};

inline double bf16_round(double value) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
  return std::bit_cast<float>(rounded);
}

inline size_t width(cudaDataType_t type) {
  return type == CUDA_R_16BF ? 2 : type == CUDA_R_32F ? 4 : 8;
}

inline std::vector<char> encode(const std::vector<double>& values, cudaDataType_t type) {
  std::vector<char> bytes(values.size() * width(type));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto f = static_cast<float>(values[i]);
    const uint16_t half = static_cast<uint16_t>(std::bit_cast<uint32_t>(f) >> 16);
    const void* from = type == CUDA_R_16BF  ? static_cast<const void*>(&half)
                       : type == CUDA_R_32F ? static_cast<const void*>(&f)
                                            : static_cast<const void*>(&values[i]);
    std::memcpy(&bytes[i * width(type)], from, width(type));
  }
  return bytes;
}

inline double decode(const std::vector<char>& bytes, cudaDataType_t type, int64_t at) {
  const char* from = &bytes[static_cast<size_t>(at) * width(type)];
  if (type == CUDA_R_16BF) {
    uint16_t half;
    std::memcpy(&half, from, 2);
    return std::bit_cast<float>(uint32_t{half} << 16);
  }
  float f;
  double d;
  std::memcpy(&f, from, 4);
  if (type == CUDA_R_32F) return f;
  std::memcpy(&d, from, 8);
  return d;
}

inline double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

// Central differences, so that the derivative is not written down twice.
inline double gelu_slope(double x) {
  const double h = 1e-5;
  return (gelu(x + h) - gelu(x - h)) / (2 * h);
}

inline cublasLtMatrixLayout_t layout_of(const Stored& matrix, cudaDataType_t type, int batch) {
  cublasLtMatrixLayout_t made = nullptr;
  EXPECT_EQ(cublasLtMatrixLayoutCreate(&made, type, matrix.rows, matrix.cols, matrix.ld), 0);
  const int32_t order = matrix.by_rows ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL, count = batch;
  const int64_t stride = matrix.stride;
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, 4), 0);
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, 4),
            0);
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                             &stride, 8),
            0);
  return made;
}

// One product with all its operands; run() through the stand-in, check() against double.
class Product {
 public:
  explicit Product(const Case& c)
      : c_(c),
        a_(c.ta ? c.k : c.m, c.ta ? c.m : c.k, c.a_rows, c.batch, 3),
        b_(c.tb ? c.n : c.k, c.tb ? c.k : c.n, c.b_rows, c.batch, 1),
        d_(c.m, c.n, c.d_rows, c.batch, 2),
        aux_((c.m + 7) / 8 * 8 * c.n),
        bias_(std::max(c.m, c.n)) {
    std::mt19937 random(static_cast<unsigned>(c.m * 10007 + c.n * 101 + c.k));
    std::uniform_real_distribution<double> uniform(-2, 2);
    for (auto* values : {&a_.values, &b_.values, &d_.values, &aux_, &bias_}) {
      for (double& value : *values) value = bf16_round(uniform(random));
    }
  }

  bool gelu_forward() const { return (c_.epilogue & CUBLASLT_EPILOGUE_GELU) != 0; }
  bool gelu_backward() const {
    return (c_.epilogue & CUBLASLT_EPILOGUE_DGELU) == CUBLASLT_EPILOGUE_DGELU;
  }

  void run(cudaStream_t stream = nullptr) {
    memory_a_ = std::make_unique<DeviceArray<char>>(encode(a_.values, c_.in));
    memory_b_ = std::make_unique<DeviceArray<char>>(encode(b_.values, c_.in));
    memory_d_ = std::make_unique<DeviceArray<char>>(encode(d_.values, c_.out));
    memory_aux_ = std::make_unique<DeviceArray<char>>(encode(aux_, c_.out));
    memory_bias_ = std::make_unique<DeviceArray<char>>(encode(bias_, c_.out));
    status = multiply(stream);
    if (status != CUBLAS_STATUS_SUCCESS) return;
    result_d_ = memory_d_->host();
    result_aux_ = memory_aux_->host();
    result_bias_ = memory_bias_->host();
  }

  void check() const {
    ASSERT_EQ(status, CUBLAS_STATUS_SUCCESS);
    for (int64_t b = 0; b < c_.batch; ++b) {
      for (int64_t i = 0; i < c_.m; ++i) check_row(b, i);
    }
    check_input_gradient();
  }

  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  uint64_t offered_workspace = 0;  // the most the heuristic may want
  uint64_t given_workspace = 0;
  uint32_t alignment = 1;

 private:
  cublasStatus_t multiply(cudaStream_t stream) {
    const bool f64 = c_.out == CUDA_R_64F;
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    EXPECT_EQ(cublasLtCreate(&handle), 0);
    EXPECT_EQ(cublasLtMatmulDescCreate(&operation, f64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                       f64 ? CUDA_R_64F : CUDA_R_32F),
              0);
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
      EXPECT_EQ(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)), 0);
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, static_cast<int32_t>(c_.ta ? CUBLAS_OP_T : CUBLAS_OP_N));
    set(CUBLASLT_MATMUL_DESC_TRANSB, static_cast<int32_t>(c_.tb ? CUBLAS_OP_T : CUBLAS_OP_N));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, c_.epilogue);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(memory_bias_->data()));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(memory_aux_->data()));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_ld());
    cublasLtMatrixLayout_t a = layout_of(a_, c_.in, c_.batch), b = layout_of(b_, c_.in, c_.batch),
                           d = layout_of(d_, c_.out, c_.batch);
    const cublasStatus_t result = launch(handle, operation, a, b, d, stream);
    for (cublasLtMatrixLayout_t one : {a, b, d}) EXPECT_EQ(cublasLtMatrixLayoutDestroy(one), 0);
    EXPECT_EQ(cublasLtMatmulDescDestroy(operation), 0);
    EXPECT_EQ(cublasLtDestroy(handle), 0);
    return result;
  }

  cublasStatus_t launch(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                        cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                        cublasLtMatrixLayout_t d, cudaStream_t stream) {
    cublasLtMatmulPreference_t wish = nullptr;
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&wish), 0);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(wish, attribute, &value, sizeof(value)), 0);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, offered_workspace);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    cublasStatus_t result =
        cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, wish, 1, &found, &count);
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(wish), 0);
    if (result != CUBLAS_STATUS_SUCCESS) return result;
    EXPECT_EQ(count, 1);
    DeviceArray<char> workspace(static_cast<int64_t>(given_workspace) + 1);
    const float alpha = static_cast<float>(c_.alpha), beta = static_cast<float>(c_.beta);
    const bool f64 = c_.out == CUDA_R_64F;
    return cublasLtMatmul(
        handle, operation, f64 ? static_cast<const void*>(&c_.alpha) : &alpha, memory_a_->data(), a,
        memory_b_->data(), b, f64 ? static_cast<const void*>(&c_.beta) : &beta, memory_d_->data(),
        d, memory_d_->data(), d, &found.algo, workspace.data(), given_workspace, stream);
  }

  int64_t aux_ld() const { return (c_.m + 7) / 8 * 8; }
  double a(int64_t b, int64_t i, int64_t p) const {
    return a_.values[c_.ta ? a_.at(b, p, i) : a_.at(b, i, p)];
  }
  double b(int64_t b, int64_t p, int64_t j) const {
    return b_.values[c_.tb ? b_.at(b, j, p) : b_.at(b, p, j)];
  }
  double tolerance(double magnitude) const {
    const double unit = c_.out == CUDA_R_16BF ? 0x1p-8 : c_.out == CUDA_R_32F ? 0x1p-20 : 0x1p-48;
    return unit * (1 + std::abs(magnitude)) + (c_.out == CUDA_R_64F ? 0 : 0x1p-18);
  }

  void check_row(int64_t batch, int64_t i) const {
    double gradient = 0, magnitude = 0;
    for (int64_t j = 0; j < c_.n; ++j) {
      double value = 0;
      for (int64_t p = 0; p < c_.k; ++p) value += a(batch, i, p) * b(batch, p, j);
      value = c_.alpha * value + c_.beta * d_.values[d_.at(batch, i, j)];
      if ((c_.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0) value += bias_[i];
      if (gelu_forward()) {
        if ((c_.epilogue & 128) != 0) {
          const double aux = decode(result_aux_, c_.out, j * aux_ld() + i);
          EXPECT_NEAR(aux, value, tolerance(value));
        }
        value = gelu(value);
      } else if (gelu_backward()) {
        value *= gelu_slope(aux_[j * aux_ld() + i]);
      }
      const double found = decode(result_d_, c_.out, d_.at(batch, i, j));
      ASSERT_NEAR(found, value, tolerance(value) + (gelu_backward() ? 1e-6 : 0))
          << "batch " << batch << " row " << i << " column " << j;
      gradient += value;
      magnitude += std::abs(value);
    }
    if (c_.epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD) {
      EXPECT_NEAR(decode(result_bias_, c_.out, i), gradient, tolerance(magnitude) + 1e-5);
    }
  }

  void check_input_gradient() const {
    const bool of_a = c_.epilogue == CUBLASLT_EPILOGUE_BGRADA;
    if (!of_a && c_.epilogue != CUBLASLT_EPILOGUE_BGRADB) return;
    for (int64_t i = 0; i < (of_a ? c_.m : c_.n); ++i) {
      double sum = 0;
      for (int64_t p = 0; p < c_.k; ++p) sum += of_a ? a(0, i, p) : b(0, p, i);
      EXPECT_NEAR(decode(result_bias_, c_.out, i), sum, tolerance(2.0 * c_.k));
    }
  }

  Case c_;
  Stored a_, b_, d_;
  std::vector<double> aux_, bias_;
  std::unique_ptr<DeviceArray<char>> memory_a_, memory_b_, memory_d_, memory_aux_, memory_bias_;
  std::vector<char> result_d_, result_aux_, result_bias_;
};

}  // namespace funnel::testing
