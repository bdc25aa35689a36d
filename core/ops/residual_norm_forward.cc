// SPDX-License-Identifier: Apache-2.0
#include "core/ops/residual_norm.h"

#include "core/ops/layer_norm_rows.h"
#include "core/ops/outlet_check.h"

namespace funnel {
namespace {

template <class T, class HeldRows>
struct ResidualNormForwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  const T* residual;
  T* branch;
  Dropout dropout;
  LayerNormForwardRow<T, HeldRows> norm;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    C y[Team::slots(Held::kMost)];
    hold(row, y, team);
  }

  // The same; y is left in its slots too.
  template <class Team>
  FUNNEL_HD void hold(int64_t row, C* y, const Team& team) const {
    const int64_t first = row * norm.cols;
    const T* in = residual + first;
    T* out = branch + first;
    each_slot_with_factor<Held::kMost>(team, norm.cols, dropout, first,
                                       [=](int64_t i, int64_t s, float factor) {
                                         const T sum(in[i] + out[i] * C(factor));
                                         out[i] = sum;
                                         y[s] = sum;
                                       });
    norm.normalise(row, y, team);
  }
};

// The rows of one window, and what is pooled of them. The last window of an example also takes the
// truncated tail along.
template <class T, class HeldRows>
struct PooledNormForwardWindow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  ResidualNormForwardRow<T, HeldRows> rows;
  PoolWindows windows;
  Pooling pooling;
  int64_t count;  // windows of an example
  T* pooled;

  template <class Team>
  FUNNEL_HD void operator()(int64_t window, const Team& team) const {
    const auto [example, w] = ExampleRow(window, count);
    const int64_t first = windows.first(w), last = windows.last(w);
    const int64_t end = w + 1 < count ? last + 1 : windows.seq;
    const int64_t start = example * windows.seq, cols = rows.norm.cols;
    const bool is_mean = pooling == Pooling::mean;
    C y[Team::slots(Held::kMost)], kept[Team::slots(Held::kMost)];
    for (int64_t t = first; t < end; ++t) {
      rows.hold(start + t, y, team);
      if (t > last) continue;
      team.template each_slot<Held::kMost>(cols, [&](int64_t, int64_t s) {
        if (t == first) {
          kept[s] = y[s];
        } else if (is_mean) {
          kept[s] = C(0.5) * (kept[s] + y[s]);
        } else {
          kept[s] = y[s] > kept[s] ? y[s] : kept[s];
        }
      });
    }
    T* to = pooled + window * cols;
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) { to[i] = kept[s]; });
  }
};

// One row and all positions that repeat it. The last row of an example also fills the positions
// that repeat none.
template <class T, class HeldRows>
struct UpsampledNormForwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  ResidualNormForwardRow<T, HeldRows> rows;
  Upsample upsample;
  int64_t seq, short_seq;
  const T* skip;
  T* sum;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const auto [example, vector] = ExampleRow(row, short_seq);
    const int64_t start = example * seq, cols = rows.norm.cols;
    const int64_t end = upsample.end_of_copies(vector, seq);
    const int64_t filled = vector + 1 < short_seq ? end : seq;
    C y[Team::slots(Held::kMost)];
    rows.hold(row, y, team);
    for (int64_t t = upsample.first_copy(vector); t < filled; ++t) {
      const T* from = skip + (start + t) * cols;
      T* to = sum + (start + t) * cols;
      const bool repeats = t < end;
      team.template each_slot<Held::kMost>(
          cols, [&](int64_t i, int64_t s) { to[i] = repeats ? T(from[i] + y[s]) : from[i]; });
    }
  }
};

template <class Rows>
void run_forward(Context& context, const Rows& rows, ConstTensor y, const std::monostate&) {
  for_each_row(context, y.rows(), rows);
}

template <class T, class Held>
void run_forward(Context& context, const ResidualNormForwardRow<T, Held>& rows, ConstTensor y,
                 const PoolOutlet& outlet) {
  const PoolWindows& windows = outlet.windows;
  const int64_t batch = whole_examples("residual_norm: pooling", y, windows.seq);
  check_shape("residual_norm: pooled", outlet.pooled, {batch, windows.pooled(), y.cols()});
  for_each_row(context, outlet.pooled.rows(),
               PooledNormForwardWindow<T, Held>{rows, windows, outlet.pooling, windows.pooled(),
                                                outlet.pooled.as<T>()});
}

template <class T, class Held>
void run_forward(Context& context, const ResidualNormForwardRow<T, Held>& rows, ConstTensor y,
                 const UpsampleOutlet& outlet) {
  const int64_t short_seq = check_upsample("residual_norm: sum", outlet.upsample, y, outlet.sum);
  check_shape("residual_norm: skip", outlet.skip, outlet.sum.shape());
  for_each_row(
      context, y.rows(),
      UpsampledNormForwardRow<T, Held>{rows, outlet.upsample, outlet.sum.shape()[1], short_seq,
                                       outlet.skip.as<T>(), outlet.sum.as<T>()});
}

}  // namespace

void residual_norm_forward(Context& context, const ResidualNormForward& args) {
  check_shape("residual_norm: branch", args.branch, args.residual.shape());
  const LayerNormForward norm{.x = args.branch,
                              .gamma = args.gamma,
                              .beta = args.beta,
                              .epsilon = args.epsilon,
                              .y = args.y,
                              .mean = args.mean,
                              .rstd = args.rstd};
  check_norm(norm);
  with_storage_type(args.branch.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_held_row<Compute<T>>(args.branch.cols(), [&](auto held) {
      using Held = decltype(held);
      const ResidualNormForwardRow<T, Held> rows{args.residual.as<T>(), args.branch.as<T>(),
                                                 args.dropout, forward_row<T, Held>(norm)};
      std::visit([&](const auto& outlet) { run_forward(context, rows, args.y, outlet); },
                 args.outlet);
    });
  });
}

}  // namespace funnel
