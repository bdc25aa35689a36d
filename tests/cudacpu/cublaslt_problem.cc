// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/cublaslt_problem.h"

#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

[[noreturn]] void unsupported(const std::string& text) {
  misuse(static_cast<cudaError_t>(CUBLAS_STATUS_NOT_SUPPORTED), text);
}

cudaDataType_t or_default(int32_t type, cudaDataType_t by_default) {
  return type < 0 ? by_default : static_cast<cudaDataType_t>(type);
}

void check_layout(const char* name, const Layout& layout) {
  if (layout.rows == 0 || layout.cols == 0) invalid(concat(name, ": no rows or columns"));
  if (layout.order != CUBLASLT_ORDER_COL && layout.order != CUBLASLT_ORDER_ROW) {
    unsupported(concat(name, ": order ", layout.order));
  }
  const auto least =
      static_cast<int64_t>(layout.order == CUBLASLT_ORDER_COL ? layout.rows : layout.cols);
  if (layout.ld < least) {
    invalid(
        concat(name, ": expected a leading dimension of at least ", least, ", found ", layout.ld));
  }
  if (layout.batch < 1) invalid(concat(name, ": a batch of ", layout.batch));
}

// The tables of cuBLASLt's documentation, as far as they concern this project.
void check_types(const Problem& p) {
  const bool f64 = p.operation.compute == CUBLAS_COMPUTE_64F ||
                   p.operation.compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  const bool f32 = p.operation.compute == CUBLAS_COMPUTE_32F ||
                   p.operation.compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                   p.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if (!f64 && !f32) unsupported("compute type");
  if (p.a.type != p.b.type || p.c.type != p.d.type) {
    unsupported("A and B, and C and D, need one type each");
  }
  if (p.operation.scale != (f64 ? CUDA_R_64F : CUDA_R_32F)) unsupported("scale type");
  const bool known =
      f64 ? p.a.type == CUDA_R_64F && p.d.type == CUDA_R_64F
          : (p.a.type == CUDA_R_32F && p.d.type == CUDA_R_32F) ||
                (p.a.type == CUDA_R_16BF && (p.d.type == CUDA_R_16BF || p.d.type == CUDA_R_32F));
  if (!known) unsupported("combination of types");
  if (f64 && p.operation.epilogue != CUBLASLT_EPILOGUE_DEFAULT) {
    unsupported("an epilogue for double precision");
  }
}

void check_shapes(const Problem& p) {
  const bool ta = p.operation.transpose_a != CUBLAS_OP_N;
  const bool tb = p.operation.transpose_b != CUBLAS_OP_N;
  const uint64_t m = ta ? p.a.cols : p.a.rows, k = ta ? p.a.rows : p.a.cols;
  const uint64_t n = tb ? p.b.rows : p.b.cols, kb = tb ? p.b.cols : p.b.rows;
  if (k != kb || p.c.rows != m || p.c.cols != n || p.d.rows != m || p.d.cols != n) {
    invalid(concat("shapes do not fit: op(A) ", m, " x ", k, ", op(B) ", kb, " x ", n, ", C ",
                   p.c.rows, " x ", p.c.cols, ", D ", p.d.rows, " x ", p.d.cols));
  }
  if (p.a.batch != p.b.batch || p.a.batch != p.c.batch || p.a.batch != p.d.batch) {
    invalid("A, B, C and D need one batch count");
  }
  const int64_t span =
      p.d.ld * static_cast<int64_t>(p.d.order == CUBLASLT_ORDER_COL ? p.d.cols : p.d.rows);
  const bool interleaved = p.d.stride < span && p.d.stride > 0;
  const auto row_length =
      static_cast<int64_t>(p.d.order == CUBLASLT_ORDER_COL ? p.d.rows : p.d.cols);
  if (p.d.batch > 1 && !(interleaved ? p.d.stride >= row_length : p.d.stride >= span)) {
    invalid(concat("D: matrices of a batch overlap at a stride of ", p.d.stride));
  }
}

void check_epilogue(const Problem& p) {
  static constexpr uint32_t kKnown[] = {CUBLASLT_EPILOGUE_DEFAULT,  CUBLASLT_EPILOGUE_BIAS,
                                        CUBLASLT_EPILOGUE_GELU,     CUBLASLT_EPILOGUE_GELU_BIAS,
                                        CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
                                        CUBLASLT_EPILOGUE_DGELU,    CUBLASLT_EPILOGUE_DGELU_BGRAD,
                                        CUBLASLT_EPILOGUE_BGRADA,   CUBLASLT_EPILOGUE_BGRADB};
  const Operation& o = p.operation;
  if (std::find(std::begin(kKnown), std::end(kKnown), o.epilogue) == std::end(kKnown)) {
    unsupported(concat("epilogue ", o.epilogue));
  }
  const auto rows = static_cast<int64_t>(p.d.rows);
  if (o.uses_aux() && (o.aux_ld % 8 != 0 || o.aux_ld < rows)) {
    invalid(concat("expected EPILOGUE_AUX_LD to be a multiple of 8 and at least ", rows, ", found ",
                   o.aux_ld));
  }
  if (o.uses_aux() && o.aux_stride % 8 != 0)
    invalid("EPILOGUE_AUX_BATCH_STRIDE: not a multiple of 8");
  if (o.uses_aux() && or_default(o.aux_type, p.d.type) != p.d.type) {
    unsupported("an auxiliary matrix of another type than D");
  }
  if (or_default(o.bias_type, p.d.type) != p.d.type) {
    unsupported("a bias of another type than D");
  }
  if (p.d.batch > 1 && o.bias_gradient() != BiasGradient::none) {
    unsupported("a bias gradient of a batch");
  }
}

}  // namespace

// Refusal carries cudaError_t; a cuBLAS status travels in it as a number.
void invalid(const std::string& text) {
  misuse(static_cast<cudaError_t>(CUBLAS_STATUS_INVALID_VALUE), text);
}

BiasGradient Operation::bias_gradient() const {
  if (has(CUBLASLT_EPILOGUE_BGRADA)) return BiasGradient::of_a;
  if (has(CUBLASLT_EPILOGUE_BGRADB)) return BiasGradient::of_b;
  return has(16) ? BiasGradient::of_result : BiasGradient::none;
}

Activation Operation::activation() const {
  if (has(CUBLASLT_EPILOGUE_DGELU)) return Activation::gelu_gradient;
  return has(CUBLASLT_EPILOGUE_GELU) ? Activation::gelu : Activation::none;
}

void check_problem(const Problem& problem) {
  check_layout("A", problem.a);
  check_layout("B", problem.b);
  check_layout("C", problem.c);
  check_layout("D", problem.d);
  check_types(problem);
  check_shapes(problem);
  check_epilogue(problem);
  if (problem.operation.pointer_mode != CUBLASLT_POINTER_MODE_HOST) {
    unsupported("alpha and beta on the device");
  }
}

uint64_t fingerprint(const Problem& problem) {
  uint64_t hash = 1469598103934665603u;
  const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (const Layout* one : {&problem.a, &problem.b, &problem.c, &problem.d}) {
    for (const uint64_t value :
         {static_cast<uint64_t>(one->type), one->rows, one->cols, static_cast<uint64_t>(one->ld),
          static_cast<uint64_t>(one->order), static_cast<uint64_t>(one->batch),
          static_cast<uint64_t>(one->stride)}) {
      mix(value);
    }
  }
  const Operation& o = problem.operation;
  for (const uint64_t value :
       {static_cast<uint64_t>(o.compute), static_cast<uint64_t>(o.transpose_a),
        static_cast<uint64_t>(o.transpose_b), static_cast<uint64_t>(o.epilogue),
        static_cast<uint64_t>(o.aux_ld)}) {
    mix(value);
  }
  return hash;
}

// As if a long product were split over k: each part's sums go through memory.
uint64_t wanted_workspace(const Problem& problem) {
  const uint64_t k = problem.operation.transpose_a != CUBLAS_OP_N ? problem.a.rows : problem.a.cols;
  if (k <= 4 * std::max(problem.d.rows, problem.d.cols)) return 0;
  return 2 * problem.d.rows * problem.d.cols * 4;
}

}  // namespace funnel::cudacpu
