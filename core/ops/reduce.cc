// SPDX-License-Identifier: Apache-2.0
#include "core/ops/reduce.h"

#include "core/backend/launch.h"

namespace funnel {
namespace {

// Column sums are a tree: each level turns blocks of 32 rows into one row, so that a float's
// rounding error grows with the logarithm of the number of rows.
constexpr int64_t kRowsPerBlock = 32;

// One block of rows, added column by column.
template <class T>
struct SumRowsBlock {
  using Sum = Compute<T>;
  const T* x;
  int64_t rows, cols;
  Sum* partial;  // [blocks, cols]

  template <class Team>
  FUNNEL_HD void operator()(int64_t block, const Team& team) const {
    const int64_t width = cols;
    const int64_t first = block * kRowsPerBlock;
    const int64_t last = first + kRowsPerBlock < rows ? first + kRowsPerBlock : rows;
    Sum* out = partial + block * width;
    team.each(width, [=](int64_t c) { out[c] = 0; });
    int64_t row = first;
    for (; row + 4 <= last; row += 4) {
      const T* in = x + row * width;
      team.each(width, [=](int64_t c) {
        out[c] += (in[c] + in[width + c]) + (in[2 * width + c] + in[3 * width + c]);
      });
    }
    for (; row < last; ++row) {
      const T* in = x + row * width;
      team.each(width, [=](int64_t c) { out[c] += in[c]; });
    }
  }
};

int64_t blocks_of(int64_t rows) {
  return (rows + kRowsPerBlock - 1) / kRowsPerBlock;
}

// One level of the tree: [blocks, cols] in scratch memory.
template <class T>
const Compute<T>* sum_blocks(Context& context, Scratch& scratch, const T* x, int64_t rows,
                             int64_t cols) {
  using Sum = Compute<T>;
  const int64_t blocks = blocks_of(rows);
  Sum* partial = scratch.tensor({blocks, cols}, dtype_of<Sum>()).template as<Sum>();
  for_each_row(context, blocks, SumRowsBlock<T>{x, rows, cols, partial});
  return partial;
}

template <class T>
struct Accumulate {
  const T* x;
  T* sums;
  FUNNEL_HD void operator()(int64_t i) const { sums[i] += x[i]; }
};

// Sums over all elements are two levels: chunks of 4096 elements, then the chunks' sums.
constexpr int64_t kChunk = 4096;

template <class T, bool kSquare>
struct SumChunk {
  const T* x;
  int64_t n;
  double* partial;  // [chunks]

  template <class Team>
  FUNNEL_HD void operator()(int64_t chunk, const Team& team) const {
    const int64_t first = chunk * kChunk;
    const T* in = x + first;
    const double total = team.sum(first + kChunk < n ? kChunk : n - first, [=](int64_t i) {
      const double value = static_cast<double>(in[i]);
      return kSquare ? value * value : value;
    });
    if (team.leader()) partial[chunk] = total;
  }
};

template <class T>
struct JoinChunks {
  const double* partial;
  int64_t chunks;
  double factor;
  T* total;

  template <class Team>
  FUNNEL_HD void operator()(int64_t, const Team& team) const {
    const double* in = partial;
    const double sum = team.sum(chunks, [=](int64_t i) { return in[i]; });
    if (team.leader()) *total = static_cast<T>(factor * sum);
  }
};

template <class T, bool kSquare>
void sum_elements(Context& context, ConstTensor x, double factor, Tensor total) {
  const int64_t chunks = (x.elements() + kChunk - 1) / kChunk;
  Scratch scratch(context.scratch());
  double* partial = scratch.tensor({chunks}, DType::f64).template as<double>();
  for_each_row(context, chunks, SumChunk<T, kSquare>{x.as<T>(), x.elements(), partial});
  with_float_type(total.dtype(), [&](auto zero) {
    using To = decltype(zero);
    for_each_row(context, 1, JoinChunks<To>{partial, chunks, factor, total.as<To>()});
  });
}

}  // namespace

void sum_rows(Context& context, ConstTensor x, Tensor sums) {
  check_shape("sum_rows: sums", sums, {x.cols()});
  if (x.elements() == 0) return;
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using Sum = Compute<T>;
    Scratch scratch(context.scratch());
    const Sum* partial = sum_blocks(context, scratch, x.as<T>(), x.rows(), x.cols());
    for (int64_t rows = blocks_of(x.rows()); rows > 1; rows = blocks_of(rows)) {
      partial = sum_blocks(context, scratch, partial, rows, x.cols());
    }
    for_each(context, x.cols(), Accumulate<Sum>{partial, sums.as<Sum>()});
  });
}

void sum_all(Context& context, ConstTensor x, double factor, Tensor total) {
  check_shape("sum_all: total", total, {1});
  FUNNEL_CHECK(x.dtype() != DType::f64 || total.dtype() == DType::f64,
               "sum_all: the total of f64 is f64, found ", name_of(total.dtype()));
  if (x.dtype() == DType::u8) return sum_elements<uint8_t, false>(context, x, factor, total);
  with_float_type(x.dtype(), [&](auto zero) {
    sum_elements<decltype(zero), false>(context, x, factor, total);
  });
}

void sum_squares(Context& context, ConstTensor x, Tensor total) {
  check_shape("sum_squares: total", total, {1});
  FUNNEL_CHECK(total.dtype() == DType::f64, "sum_squares: expected a total of f64, found ",
               name_of(total.dtype()));
  with_float_type(x.dtype(),
                  [&](auto zero) { sum_elements<decltype(zero), true>(context, x, 1.0, total); });
}

}  // namespace funnel
