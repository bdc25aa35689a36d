// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/cublaslt_operands.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/runtime.h"
#include "tests/cudacpu/shadow.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

// Of a problem that was checked.
Type type_of(cudaDataType_t type) {
  switch (type) {
    case CUDA_R_16BF:
      return Type::bf16;
    case CUDA_R_32F:
      return Type::f32;
    default:
      return Type::f64;
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
  gemm.activation = o.activation();
  gemm.bias_gradient = o.bias_gradient();
  if (o.uses_aux()) {
    const Layout layout{p.d.type, p.d.rows, p.d.cols, o.aux_ld, p.d.order, 1, o.aux_stride};
    gemm.aux = matrix_of(layout, o.aux, index, false);
  }
  Layout vector{p.d.type, p.d.rows, 1, static_cast<int64_t>(p.d.rows)};
  vector.stride = o.bias_stride;
  if (o.has_bias()) gemm.bias = matrix_of(vector, o.bias, index, false);
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
