// SPDX-License-Identifier: Apache-2.0
#include "core/ops/embedding.h"

#include <limits>

#include "core/backend/launch.h"

namespace funnel {
namespace {

// Functors cannot throw: they leave the number of the first bad index, or -1, in `bad`.
constexpr int32_t kNoneBad = -1;

struct ClearBad {
  int32_t* bad;
  FUNNEL_HD void operator()(int64_t) const { *bad = kNoneBad; }
};

template <class T>
struct GatherRow {
  const T* table;
  int64_t rows, cols;
  const int32_t* indices;
  T* y;
  int32_t* bad;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t index = indices[row];
    if (index < 0 || index >= rows) {
      if (team.leader() && *bad == kNoneBad) *bad = static_cast<int32_t>(row);
      return;
    }
    const T* in = table + index * cols;
    T* out = y + row * cols;
    team.each(cols, [=](int64_t i) { out[i] = in[i]; });
  }
};

// Chains the entries of each table row in the order of n: head[row] is the first of them, next[i]
// the one after i, or -1. Only heads that have entries are written, so the table's size costs
// nothing.
struct ChainEntries {
  const int32_t* indices;
  int64_t n, rows;
  int32_t* head;
  int32_t* next;
  int32_t* bad;

  template <class Team>
  FUNNEL_HD void operator()(int64_t, const Team& team) const {
    if (!team.leader()) return;
    for (int64_t i = n - 1; i >= 0; --i) {
      const int32_t index = indices[i];
      if (index < 0 || index >= rows) {
        *bad = static_cast<int32_t>(i);
      } else {
        head[index] = -1;
      }
    }
    if (*bad != kNoneBad) return;
    for (int64_t i = n - 1; i >= 0; --i) {
      next[i] = head[indices[i]];
      head[indices[i]] = static_cast<int32_t>(i);
    }
  }
};

// Walks the chain of which this entry is the head.
template <class T>
struct ScatterAddRow {
  const T* dy;
  const int32_t* indices;
  int64_t cols;
  const int32_t* head;
  const int32_t* next;
  T* dtable;

  template <class Team>
  FUNNEL_HD void operator()(int64_t entry, const Team& team) const {
    if (head[indices[entry]] != entry) return;
    T* out = dtable + indices[entry] * cols;
    for (int64_t i = entry; i >= 0; i = next[i]) {
      const T* in = dy + i * cols;
      team.each(cols, [=](int64_t c) { out[c] += in[c]; });
    }
  }
};

struct FlattenPosition {
  const int32_t* positions;
  int64_t per_example, seq;
  int32_t* rows;

  FUNNEL_HD void operator()(int64_t i) const {
    rows[i] = static_cast<int32_t>(i / per_example * seq + positions[i]);
  }
};

void check_none_bad(const char* what, const int32_t* bad, const int32_t* indices, int64_t rows) {
  FUNNEL_CHECK(*bad == kNoneBad, what, ": index ", indices[*bad], " of row ", *bad,
               " leaves a table of ", rows, " rows");
}

}  // namespace

void gather_rows(Context& context, ConstTensor table, ConstTensor indices, Tensor y) {
  FUNNEL_CHECK(y.rows() == indices.elements() && y.cols() == table.cols(),
               "embedding: expected y of ", indices.elements(), " rows of ", table.cols(),
               ", found shape ", y.shape());
  const int32_t* index = indices.as<int32_t>();
  Scratch scratch(context.scratch());
  int32_t* bad = scratch.tensor({1}, DType::i32).as<int32_t>();
  for_each(context, 1, ClearBad{bad});
  with_float_type(table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_row(context, indices.elements(),
                 GatherRow<T>{table.as<T>(), table.rows(), table.cols(), index, y.as<T>(), bad});
  });
  check_none_bad("embedding", bad, index, table.rows());
}

void scatter_add_rows(Context& context, ConstTensor dy, ConstTensor indices, Tensor dtable) {
  const int64_t n = indices.elements();
  FUNNEL_CHECK(dy.rows() == n && dy.cols() == dtable.cols(), "scatter_add_rows: expected dy of ", n,
               " rows of ", dtable.cols(), ", found shape ", dy.shape());
  const int32_t* index = indices.as<int32_t>();
  Scratch scratch(context.scratch());
  int32_t* bad = scratch.tensor({1}, DType::i32).as<int32_t>();
  int32_t* head = scratch.tensor({dtable.rows()}, DType::i32).as<int32_t>();
  int32_t* next = scratch.tensor({n}, DType::i32).as<int32_t>();
  for_each(context, 1, ClearBad{bad});
  for_each_row(context, 1, ChainEntries{index, n, dtable.rows(), head, next, bad});
  check_none_bad("scatter_add_rows", bad, index, dtable.rows());
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_row(context, n,
                 ScatterAddRow<T>{dy.as<T>(), index, dtable.cols(), head, next, dtable.as<T>()});
  });
}

void flatten_positions(Context& context, ConstTensor positions, int64_t seq, Tensor rows) {
  FUNNEL_CHECK(positions.shape().rank() == 2, "flatten_positions: expected [batch, k], found ",
               positions.shape());
  FUNNEL_CHECK(rows.elements() == positions.elements(), "flatten_positions: expected ",
               positions.elements(), " rows, found shape ", rows.shape());
  FUNNEL_CHECK(positions.rows() * seq <= std::numeric_limits<int32_t>::max(),
               "flatten_positions: ", positions.rows(), " examples of ", seq,
               " positions are too many for 32-bit row numbers");
  const int32_t* position = positions.as<int32_t>();
  for (int64_t i = 0; i < positions.elements(); ++i) {
    FUNNEL_CHECK(position[i] >= 0 && position[i] < seq, "flatten_positions: position ", position[i],
                 " of example ", i / positions.cols(), " leaves a sequence of ", seq);
  }
  for_each(context, positions.elements(),
           FlattenPosition{position, positions.cols(), seq, rows.as<int32_t>()});
}

}  // namespace funnel
