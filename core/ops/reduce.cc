// SPDX-License-Identifier: Apache-2.0
#include "core/ops/reduce.h"

#include <algorithm>

#include "core/backend/launch.h"

namespace funnel {
namespace {

// Column sums are a tree, so that a float's rounding error grows with the logarithm of the number
// of rows: 32 rows make one, up to 8 of those make one, and stages of such sums follow each other.
constexpr int64_t kRowsAtOnce = 32;
constexpr int64_t kRowsOfStage = 8 * kRowsAtOnce;
constexpr int64_t kMostParts = 5;

// How many rows a stage adds up at a time: a function of their number alone. Where two stages do,
// both add about as many.
int64_t fan_in_of(int64_t rows) {
  if (rows <= kRowsOfStage) return kRowsOfStage;
  int64_t fan_in = kRowsAtOnce;
  while (fan_in < kRowsOfStage && fan_in * fan_in < rows) fan_in += kRowsAtOnce;
  return fan_in;
}

int64_t blocks_of(int64_t rows) {
  return (rows + fan_in_of(rows) - 1) / fan_in_of(rows);
}

template <class Sum>
struct Sums {
  Sum* part[kMostParts];

  // By choice among all: with an index known only on the device they would lie in memory.
  FUNNEL_HD Sum* of(int64_t i) const {
    return i == 0 ? part[0] : i == 1 ? part[1] : i == 2 ? part[2] : i == 3 ? part[3] : part[4];
  }
};

// One stage: of each part, blocks of rows, each for a few columns at a time.
template <class T>
struct SumRowsBlock {
  using Sum = Compute<T>;
  using Held = HeldRow<128, false>;
  const T* x;  // [parts, rows, cols]
  int64_t rows, cols, fan_in, blocks, groups;
  Sum* partial;    // [parts, blocks, cols], or null in the last stage,
  Sums<Sum> sums;  // which adds to these

  template <class Team>
  FUNNEL_HD void operator()(int64_t unit, const Team& team) const {
    const int64_t group = unit % groups, block = unit / groups % blocks;
    const int64_t part = unit / groups / blocks, column = group * Held::kMost;
    const int64_t width = column + Held::kMost < cols ? Held::kMost : cols - column;
    const int64_t first = block * fan_in, last = first + fan_in < rows ? first + fan_in : rows;
    const T* in = x + part * rows * cols + column;
    Sum total[Team::slots(Held::kMost)];
    team.template each_slot<Held::kMost>(width, [&](int64_t, int64_t slot) { total[slot] = 0; });
    for (int64_t begin = first; begin < last; begin += kRowsAtOnce) {
      const int64_t end = begin + kRowsAtOnce < last ? begin + kRowsAtOnce : last;
      add_rows(in, begin, end, width, team, total);
    }
    Sum* to = partial == nullptr ? sums.of(part) + column
                                 : partial + (part * blocks + block) * cols + column;
    if (partial == nullptr) {
      team.template each_slot<Held::kMost>(width, [&](int64_t c, int64_t s) { to[c] += total[s]; });
    } else {
      team.template each_slot<Held::kMost>(width, [&](int64_t c, int64_t s) { to[c] = total[s]; });
    }
  }

  // total += the sums of rows [begin, end).
  template <class Team>
  FUNNEL_HD void add_rows(const T* in, int64_t begin, int64_t end, int64_t width, const Team& team,
                          Sum* total) const {
    const int64_t n = cols;
    Sum sum[Team::slots(Held::kMost)];
    team.template each_slot<Held::kMost>(width, [&](int64_t, int64_t slot) { sum[slot] = 0; });
    int64_t row = begin;
    for (; row + 4 <= end; row += 4) {
      const T* four = in + row * n;
      team.template each_slot<Held::kMost>(width, [&](int64_t c, int64_t slot) {
        sum[slot] += (four[c] + four[n + c]) + (four[2 * n + c] + four[3 * n + c]);
      });
    }
    for (; row < end; ++row) {
      const T* one = in + row * n;
      team.template each_slot<Held::kMost>(width,
                                           [&](int64_t c, int64_t slot) { sum[slot] += one[c]; });
    }
    team.template each_slot<Held::kMost>(width,
                                         [&](int64_t, int64_t slot) { total[slot] += sum[slot]; });
  }
};

// The stage over x [parts, rows, cols], and those behind it.
template <class T>
void sum_stages(Context& context, const T* x, int64_t parts, int64_t rows, int64_t cols,
                const Sums<Compute<T>>& sums) {
  using Sum = Compute<T>;
  const int64_t blocks = blocks_of(rows);
  const int64_t groups = (cols + SumRowsBlock<T>::Held::kMost - 1) / SumRowsBlock<T>::Held::kMost;
  Scratch scratch(context.scratch());
  Sum* partial = nullptr;
  if (blocks > 1) {
    partial = scratch.tensor({parts, blocks, cols}, dtype_of<Sum>()).template as<Sum>();
  }
  for_each_row(context, parts * blocks * groups,
               SumRowsBlock<T>{x, rows, cols, fan_in_of(rows), blocks, groups, partial, sums});
  if (blocks > 1) sum_stages<Sum>(context, partial, parts, blocks, cols, sums);
}

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
  sum_parts(context, x.reshaped({1, x.rows(), x.cols()}), {&sums, 1});
}

void sum_parts(Context& context, ConstTensor x, std::span<const Tensor> sums) {
  const Shape& shape = x.shape();
  FUNNEL_CHECK(shape.rank() == 3 && shape[0] == std::ssize(sums) && std::ssize(sums) <= kMostParts,
               "sum_parts: expected [parts, rows, cols] of at most ", kMostParts,
               " parts and sums of each, found ", shape, " and ", sums.size());
  for (const Tensor& part : sums) check_shape("sum_rows: sums", part, {x.cols()});
  if (x.elements() == 0) return;
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Sums<Compute<T>> to{};
    std::ranges::transform(sums, to.part, [](const Tensor& t) { return t.as<Compute<T>>(); });
    sum_stages(context, x.as<T>(), shape[0], shape[1], shape[2], to);
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
