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
  const T* x;
  int64_t rows, cols;
  T* partial;  // [blocks, cols]

  template <class Team>
  FUNNEL_HD void operator()(int64_t block, const Team& team) const {
    const int64_t width = cols;
    const int64_t first = block * kRowsPerBlock;
    const int64_t last = first + kRowsPerBlock < rows ? first + kRowsPerBlock : rows;
    T* out = partial + block * width;
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
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Scratch scratch(context.scratch());
    const int64_t cols = x.cols();
    const T* in = x.as<T>();
    int64_t rows = x.rows();
    do {
      const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
      T* partial = scratch.tensor({blocks, cols}, x.dtype()).template as<T>();
      for_each_row(context, blocks, SumRowsBlock<T>{in, rows, cols, partial});
      in = partial;
      rows = blocks;
    } while (rows > 1);
    for_each(context, cols, Accumulate<T>{in, sums.as<T>()});
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
