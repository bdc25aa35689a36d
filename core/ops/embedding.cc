// SPDX-License-Identifier: Apache-2.0
#include "core/ops/embedding.h"

#include <limits>
#include <utility>

#include "core/backend/launch.h"
#include "core/ops/index_check.h"

namespace funnel {
namespace {

template <class T>
struct GatherRow {
  const T* table;
  int64_t rows, cols;
  const int32_t* indices;
  T outside;  // what a row gets whose index leaves the table: NaN
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t index = indices[row];
    T* out = y + row * cols;
    if (index < 0 || index >= rows) {
      const T value = outside;
      team.each(cols, [=](int64_t i) { out[i] = value; });
      return;
    }
    const T* in = table + index * cols;
    team.each(cols, [=](int64_t i) { out[i] = in[i]; });
  }
};

struct Identity {
  int32_t* order;
  FUNNEL_HD void operator()(int64_t i) const { order[i] = static_cast<int32_t>(i); }
};

// Of sorted entries [low, high), the first whose index is above `index`, or not below it.
FUNNEL_HD inline int64_t find_entry(const int32_t* indices, const int32_t* order, int64_t low,
                                    int64_t high, int32_t index, bool above) {
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const int32_t found = indices[order[middle]];
    if (found < index || (above && found == index)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// One pass of a merge sort: every entry finds its own place among the two runs of `width` that it
// is merged from. Equal indices keep their order: those of the left run come first.
struct MergeElement {
  const int32_t* indices;
  const int32_t* order;
  int64_t n, width;
  int32_t* merged;

  FUNNEL_HD void operator()(int64_t i) const {
    const int64_t run = i / width;
    const bool is_left = run % 2 == 0;
    const int64_t other = (is_left ? run + 1 : run - 1) * width;
    const int64_t first = other < n ? other : n;
    const int64_t end = other + width < n ? other + width : n;
    const int64_t before =
        find_entry(indices, order, first, end, indices[order[i]], !is_left) - first;
    const int64_t pair = (is_left ? run : run - 1) * width;
    merged[pair + (i - run * width) + before] = order[i];
  }
};

// A frequent index (the mask, of which a batch holds thousands) would keep one team busy while all
// others wait. So its entries are cut, counted from its first, into pieces that are added up side
// by side; the first goes straight into the table, the others into rows that AddPieces adds later.
constexpr int64_t kPiece = 64;

template <class T, class Sum>
struct ScatterAddRun {
  const T* dy;
  const int32_t* indices;
  const int32_t* order;
  int64_t n, rows, cols;
  Sum* dtable;
  Sum* pieces;  // [n / kPiece + 1, cols]

  template <class Team>
  FUNNEL_HD void operator()(int64_t entry, const Team& team) const {
    const int32_t index = indices[order[entry]];
    if (index < 0 || index >= rows) return;
    const bool is_first = entry == 0 || indices[order[entry - 1]] != index;
    const int64_t first =
        is_first ? entry : find_entry(indices, order, 0, entry, index, /*above=*/false);
    if ((entry - first) % kPiece != 0) return;
    const int64_t most = entry + kPiece < n ? entry + kPiece : n;
    const int64_t end = find_entry(indices, order, entry, most, index, /*above=*/true);
    // A run's later pieces begin kPiece apart and as far from where it begins: no two share a
    // place.
    Sum* out = is_first ? dtable + index * cols : pieces + entry / kPiece * cols;
    if (!is_first) team.each(cols, [=](int64_t i) { out[i] = Sum(0); });
    int64_t e = entry;
    for (; e + 4 <= end; e += 4) {  // four rows under way at once; the sum is taken one by one
      const T *a = row(e), *b = row(e + 1), *c = row(e + 2), *d = row(e + 3);
      team.each(cols, [=](int64_t i) { out[i] = (((out[i] + a[i]) + b[i]) + c[i]) + d[i]; });
    }
    for (; e < end; ++e) {
      const T* in = row(e);
      team.each(cols, [=](int64_t i) { out[i] += in[i]; });
    }
  }

  FUNNEL_HD const T* row(int64_t entry) const { return dy + order[entry] * cols; }
};

// Adds an index's later pieces, in their order. Entry kPiece of an index answers for it.
template <class T>
struct AddPieces {
  const int32_t* indices;
  const int32_t* order;
  int64_t n, rows, cols;
  const T* pieces;
  T* dtable;

  template <class Team>
  FUNNEL_HD void operator()(int64_t i, const Team& team) const {
    const int64_t entry = i + kPiece;
    const int32_t index = indices[order[entry]];
    if (index < 0 || index >= rows || indices[order[i]] != index) return;
    if (i > 0 && indices[order[i - 1]] == index) return;
    const int64_t end = find_entry(indices, order, entry, n, index, /*above=*/true);
    T* out = dtable + index * cols;
    for (int64_t e = entry; e < end; e += kPiece) {
      const T* in = pieces + e / kPiece * cols;
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

// The numbers of the entries, sorted by index; where indices are equal, in the order of n.
const int32_t* sorted_entries(Context& context, Scratch& scratch, const int32_t* indices,
                              int64_t n) {
  int32_t* order = scratch.tensor({n}, DType::i32).as<int32_t>();
  int32_t* merged = scratch.tensor({n}, DType::i32).as<int32_t>();
  for_each(context, n, Identity{order});
  for (int64_t width = 1; width < n; width *= 2) {
    for_each(context, n, MergeElement{indices, order, n, width, merged});
    std::swap(order, merged);
  }
  return order;
}

}  // namespace

void gather_rows(Context& context, ConstTensor table, ConstTensor indices, Tensor y) {
  FUNNEL_CHECK(y.rows() == indices.elements() && y.cols() == table.cols(),
               "embedding: expected y of ", indices.elements(), " rows of ", table.cols(),
               ", found shape ", y.shape());
  check_indices("embedding: index", indices, table.rows(), "a table");
  with_storage_type(table.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_row(context, indices.elements(),
                 GatherRow<T>{table.as<T>(), table.rows(), table.cols(), indices.as<int32_t>(),
                              T(std::numeric_limits<Compute<T>>::quiet_NaN()), y.as<T>()});
  });
}

void scatter_add_rows(Context& context, ConstTensor dy, ConstTensor indices, Tensor dtable) {
  const int64_t n = indices.elements();
  FUNNEL_CHECK(dy.rows() == n && dy.cols() == dtable.cols(), "scatter_add_rows: expected dy of ", n,
               " rows of ", dtable.cols(), ", found shape ", dy.shape());
  check_indices("scatter_add_rows: index", indices, dtable.rows(), "a table");
  const int32_t* index = indices.as<int32_t>();
  Scratch scratch(context.scratch());
  const int32_t* order = sorted_entries(context, scratch, index, n);
  const auto add_as = [&](auto from, auto to) {
    using T = decltype(from);
    using Sum = decltype(to);
    const int64_t rows = dtable.rows(), cols = dtable.cols();
    Sum* pieces = scratch.tensor({n / kPiece + 1, cols}, dtable.dtype()).template as<Sum>();
    Sum* out = dtable.as<Sum>();
    for_each_row(context, n,
                 ScatterAddRun<T, Sum>{dy.as<T>(), index, order, n, rows, cols, out, pieces});
    for_each_row(context, n - kPiece, AddPieces<Sum>{index, order, n, rows, cols, pieces, out});
  };
  with_storage_type(dy.dtype(), [&](auto type) {
    using T = decltype(type);
    if (dtable.dtype() == dy.dtype()) return add_as(type, type);
    add_as(type, Compute<T>{});
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
  check_indices("flatten_positions: position", positions, seq, "a sequence");
  for_each(context, positions.elements(),
           FlattenPosition{positions.as<int32_t>(), positions.cols(), seq, rows.as<int32_t>()});
}

}  // namespace funnel
