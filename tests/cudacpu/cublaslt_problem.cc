// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/cublaslt_problem.h"

#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/runtime.h"
#include "tests/cudacpu/shadow.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

// Refusal carries cudaError_t; a cuBLAS status travels in it as a number.
[[noreturn]] void invalid(const std::string& text) {
  misuse(static_cast<cudaError_t>(CUBLAS_STATUS_INVALID_VALUE), text);
}

[[noreturn]] void unsupported(const std::string& text) {
  misuse(static_cast<cudaError_t>(CUBLAS_STATUS_NOT_SUPPORTED), text);
}

bool has(const Operation& operation, uint32_t part) {
  return (operation.epilogue & part) == part;
}

bool uses_aux(const Operation& operation) {
  return has(operation, 128);
}

bool has_bias(const Operation& operation) {
  return has(operation, CUBLASLT_EPILOGUE_BIAS);
}

BiasGradient bias_gradient(const Operation& operation) {
  if (has(operation, CUBLASLT_EPILOGUE_BGRADA)) return BiasGradient::of_a;
  if (has(operation, CUBLASLT_EPILOGUE_BGRADB)) return BiasGradient::of_b;
  return has(operation, 16) ? BiasGradient::of_result : BiasGradient::none;
}

Activation activation(const Operation& operation) {
  if (has(operation, CUBLASLT_EPILOGUE_DGELU)) return Activation::gelu_gradient;
  return has(operation, CUBLASLT_EPILOGUE_GELU) ? Activation::gelu : Activation::none;
}

Type type_of(cudaDataType_t type) {
  switch (type) {
    case CUDA_R_16BF:
      return Type::bf16;
    case CUDA_R_32F:
      return Type::f32;
    case CUDA_R_64F:
      return Type::f64;
    default:
      unsupported(concat("data type ", static_cast<int>(type)));
  }
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
  if (uses_aux(o) && (o.aux_ld % 8 != 0 || o.aux_ld < rows)) {
    invalid(concat("expected EPILOGUE_AUX_LD to be a multiple of 8 and at least ", rows, ", found ",
                   o.aux_ld));
  }
  if (uses_aux(o) && o.aux_stride % 8 != 0)
    invalid("EPILOGUE_AUX_BATCH_STRIDE: not a multiple of 8");
  if (uses_aux(o) && or_default(o.aux_type, p.d.type) != p.d.type) {
    unsupported("an auxiliary matrix of another type than D");
  }
  if (or_default(o.bias_type, p.d.type) != p.d.type) {
    unsupported("a bias of another type than D");
  }
  if (p.d.batch > 1 && bias_gradient(o) != BiasGradient::none) {
    unsupported("a bias gradient of a batch");
  }
}

Matrix matrix_of(const Layout& layout, const void* data, int64_t index, bool transposed) {
  Matrix made;
  made.type = type_of(layout.type);
  made.data =
      static_cast<char*>(const_cast<void*>(data)) + index * layout.stride * bytes_of(made.type);
  made.rows = static_cast<int64_t>(layout.rows);
  made.cols = static_cast<int64_t>(layout.cols);
  made.row_step = layout.order == CUBLASLT_ORDER_COL ? 1 : layout.ld;
  made.col_step = layout.order == CUBLASLT_ORDER_COL ? layout.ld : 1;
  if (transposed) {
    std::swap(made.rows, made.cols);
    std::swap(made.row_step, made.col_step);
  }
  return made;
}

// Its contiguous runs.
Region region_of(const Matrix& matrix) {
  const bool by_rows = matrix.col_step == 1 && matrix.row_step != 1;
  const int64_t runs = by_rows ? matrix.rows : matrix.cols;
  const int64_t length = (by_rows ? matrix.cols : matrix.rows) * bytes_of(matrix.type);
  const int64_t step = (by_rows ? matrix.row_step : matrix.col_step) * bytes_of(matrix.type);
  const auto begin = reinterpret_cast<uintptr_t>(matrix.data);
  if (step == length) return {begin, runs * length};
  return {begin, length, runs, step};
}

// Calls f(first byte, bytes) for each contiguous run of the matrix.
template <class F>
void each_run(const Matrix& matrix, F&& f) {
  const Region region = region_of(matrix);
  char* data = static_cast<char*>(matrix.data);
  for (int64_t i = 0; i < region.runs; ++i) f(data + i * region.stride, region.bytes);
}

int64_t span_of(const Matrix& matrix) {
  return ((matrix.rows - 1) * matrix.row_step + (matrix.cols - 1) * matrix.col_step + 1) *
         bytes_of(matrix.type);
}

// One matrix of the batch with all its operands, in device addresses.
Gemm gemm_of(const Problem& p, const Operands& operands, int64_t index) {
  const Operation& o = p.operation;
  Gemm gemm;
  gemm.a = matrix_of(p.a, operands.a, index, o.transpose_a != CUBLAS_OP_N);
  gemm.b = matrix_of(p.b, operands.b, index, o.transpose_b != CUBLAS_OP_N);
  gemm.c = matrix_of(p.c, operands.c, index, false);
  gemm.d = matrix_of(p.d, operands.d, index, false);
  gemm.alpha = operands.alpha;
  gemm.beta = operands.beta;
  gemm.activation = activation(o);
  gemm.bias_gradient = bias_gradient(o);
  if (uses_aux(o)) {
    const Layout layout{p.d.type, p.d.rows, p.d.cols, o.aux_ld, p.d.order, 1, o.aux_stride};
    gemm.aux = matrix_of(layout, o.aux, index, false);
  }
  Layout vector{p.d.type, p.d.rows, 1, static_cast<int64_t>(p.d.rows)};
  vector.stride = o.bias_stride;
  if (has_bias(o)) gemm.bias = matrix_of(vector, o.bias, index, false);
  if (gemm.bias_gradient != BiasGradient::none) {
    if (gemm.bias_gradient == BiasGradient::of_b) vector.rows = p.d.cols;
    gemm.gradient = matrix_of(vector, o.bias, index, false);
  }
  return gemm;
}

// The matrices that a product reads and writes, with their names.
struct Named {
  const char* name;
  const Matrix* matrix;
  bool written;
};

std::vector<Named> used(const Gemm& gemm) {
  std::vector<Named> all = {{"A", &gemm.a, false}, {"B", &gemm.b, false}, {"D", &gemm.d, true}};
  if (gemm.beta != 0) all.push_back({"C", &gemm.c, false});
  if (gemm.activation == Activation::gelu_gradient) all.push_back({"aux", &gemm.aux, false});
  if (gemm.activation == Activation::gelu && gemm.aux.rows > 0) {
    all.push_back({"aux", &gemm.aux, true});
  }
  if (gemm.bias.rows > 0) all.push_back({"bias", &gemm.bias, false});
  if (gemm.gradient.rows > 0) all.push_back({"bias gradient", &gemm.gradient, true});
  return all;
}

bool overlap(const Matrix& x, const Matrix& y) {
  const char* first = static_cast<const char*>(x.data);
  const char* second = static_cast<const char*>(y.data);
  return first < second + span_of(y) && second < first + span_of(x);
}

void to_storage(Matrix& matrix) {
  if (matrix.data == nullptr || matrix.rows == 0) return;
  const Allocation* found = find_allocation(matrix.data);
  matrix.data = found == nullptr ? nullptr : found->at(matrix.data);
}

}  // namespace

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

void check_operands(const Problem& problem, const Operands& operands) {
  for (int64_t i = 0; i < problem.d.batch; i += std::max(problem.d.batch - 1, 1)) {
    const Gemm gemm = gemm_of(problem, operands, i);
    for (const Named& one : used(gemm)) {
      check_device_range(one.name, one.matrix->data, span_of(*one.matrix));
      if (reinterpret_cast<uintptr_t>(one.matrix->data) % bytes_of(one.matrix->type) != 0) {
        invalid(concat(one.name, ": an address that its elements do not divide"));
      }
      const bool in_place = one.matrix == &gemm.c && gemm.c.data == gemm.d.data;
      if (in_place && !(problem.c == problem.d)) invalid("C in the place of D needs its layout");
      if (one.matrix == &gemm.d || in_place || problem.d.batch > 1) continue;
      if (overlap(*one.matrix, gemm.d)) invalid(concat(one.name, " overlaps D"));
    }
  }
}

void compute_problem(const Problem& problem, const Operands& operands) {
  for (int64_t i = 0; i < problem.d.batch; ++i) {
    Gemm gemm = gemm_of(problem, operands, i);
    const std::vector<Named> matrices = used(gemm);
    for (const Named& one : matrices) {
      check_region("cublasLtMatmul", region_of(*one.matrix), one.written);
      if (one.written) continue;
      each_run(*one.matrix, [&](const char* data, int64_t bytes) {
        const int64_t offset = first_unwritten(data, bytes);
        if (offset < 0) return;
        throw Fault(FaultKind::uninitialised,
                    concat("cublasLtMatmul: ", one.name, " holds ", describe_address(data + offset),
                           ", which nobody has written"));
      });
    }
    for (const Named& one : matrices) {
      if (one.written) each_run(*one.matrix, [](char* data, int64_t n) { note_written(data, n); });
    }
    for (Matrix* one :
         {&gemm.a, &gemm.b, &gemm.c, &gemm.d, &gemm.aux, &gemm.bias, &gemm.gradient}) {
      to_storage(*one);
    }
    compute(gemm);
  }
}

}  // namespace funnel::cudacpu
