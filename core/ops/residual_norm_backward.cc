// SPDX-License-Identifier: Apache-2.0
#include "core/ops/residual_norm.h"

#include "core/ops/layer_norm_rows.h"
#include "core/ops/outlet_check.h"

namespace funnel {
namespace {

// The gradient of y's rows, from wherever it comes: one body, so that there is one backward kernel.
template <class T>
struct GradientOfOutputs {
  using C = Compute<T>;
  const T* dy = nullptr;  // [rows, cols], or null
  int64_t seq = 1, short_seq = 1;

  // Where there was a PoolOutlet.
  const T* dpooled = nullptr;
  PoolWindows windows;
  const T* y = nullptr;  // of Pooling::max only

  // Where there was an UpsampleOutlet.
  const T* dsum = nullptr;
  Upsample upsample;

  template <int64_t kMost, class Team>
  FUNNEL_HD void load(int64_t row, int64_t cols, C* d, const Team& team) const {
    if (dy == nullptr) {
      team.template each_slot<kMost>(cols, [=](int64_t, int64_t s) { d[s] = 0; });
    } else {
      const T* from = dy + row * cols;
      team.template each_slot<kMost>(cols, [=](int64_t i, int64_t s) { d[s] = from[i]; });
    }
    if (dpooled != nullptr) add_pooled<kMost>(ExampleRow(row, seq), cols, d, team);
    if (dsum != nullptr) add_copies<kMost>(ExampleRow(row, short_seq), cols, d, team);
  }

  template <int64_t kMost, class Team>
  FUNNEL_HD void add_pooled(ExampleRow at, int64_t cols, C* d, const Team& team) const {
    const auto [example, t] = at;
    const int64_t w = windows.window_of(t);
    if (w < 0) return;
    const int64_t first = windows.first(w), last = windows.last(w);
    const T* back = dpooled + (example * short_seq + w) * cols;
    if (y == nullptr) {
      const C share = first == last ? C(1) : C(0.5);
      team.template each_slot<kMost>(cols, [=](int64_t i, int64_t s) { d[s] += share * back[i]; });
      return;
    }
    const T* one = y + (example * seq + first) * cols;
    const T* other = y + (example * seq + last) * cols;
    const bool is_first = t == first;
    team.template each_slot<kMost>(cols, [=](int64_t i, int64_t s) {
      const bool first_wins = !(other[i] > one[i]);
      d[s] += first_wins == is_first ? C(back[i]) : C(0);
    });
  }

  template <int64_t kMost, class Team>
  FUNNEL_HD void add_copies(ExampleRow at, int64_t cols, C* d, const Team& team) const {
    const auto [example, vector] = at;
    const int64_t end = upsample.end_of_copies(vector, seq);
    for (int64_t t = upsample.first_copy(vector); t < end; ++t) {
      const T* from = dsum + (example * seq + t) * cols;
      team.template each_slot<kMost>(cols, [=](int64_t i, int64_t s) { d[s] += from[i]; });
    }
  }
};

template <class T>
void set_outlet(GradientOfOutputs<T>&, int64_t, const std::monostate&) {}

template <class T>
void set_outlet(GradientOfOutputs<T>& gradient, int64_t, const PoolGradient& back) {
  gradient.seq = back.windows.seq;
  gradient.short_seq = back.windows.pooled();
  gradient.dpooled = back.dpooled.as<T>();
  gradient.windows = back.windows;
  if (back.pooling == Pooling::max) gradient.y = back.y.as<T>();
}

template <class T>
void set_outlet(GradientOfOutputs<T>& gradient, int64_t rows, const UpsampleGradient& back) {
  gradient.seq = back.dsum.shape()[1];
  gradient.short_seq = rows / back.dsum.shape()[0];
  gradient.dsum = back.dsum.as<T>();
  gradient.upsample = back.upsample;
}

void check_outlet(ConstTensor sum, ConstTensor dy, const std::monostate&) {
  check_shape("residual_norm: dy", dy, sum.shape());
}

void check_outlet(ConstTensor sum, ConstTensor dy, const PoolGradient& back) {
  const int64_t batch = whole_examples("residual_norm: pooling", sum, back.windows.seq);
  check_shape("residual_norm: dpooled", back.dpooled, {batch, back.windows.pooled(), sum.cols()});
  if (dy) check_shape("residual_norm: dy", dy, sum.shape());
  if (back.pooling == Pooling::max) check_shape("residual_norm: y", back.y, sum.shape());
}

void check_outlet(ConstTensor sum, ConstTensor, const UpsampleGradient& back) {
  check_upsample("residual_norm: dsum", back.upsample, sum, back.dsum);
}

}  // namespace

void residual_norm_backward(Context& context, const ResidualNormBackward& args) {
  check_shape("residual_norm: dbranch", args.dbranch, args.sum.shape());
  check_shape("residual_norm: dbias", args.dbias, {args.sum.cols()});
  const ConstTensor dy = args.gradient.dy;
  FUNNEL_CHECK(args.sum.elements() == 0 || args.dbranch.data() != dy.data(),
               "residual_norm: dbranch must not be dy");
  const NormBackward norm{.x = args.sum,
                          .gamma = args.gamma,
                          .mean = args.mean,
                          .rstd = args.rstd,
                          .dx = args.dresidual,
                          .dgamma = args.dgamma,
                          .dbeta = args.dbeta,
                          .dropout = args.dropout,
                          .dbranch = args.dbranch,
                          .dbias = args.dbias};
  check_norm(norm);
  std::visit([&](const auto& back) { check_outlet(args.sum, dy, back); }, args.gradient.outlet);
  run_norm_backward(context, norm, [&](auto zero) {
    using T = decltype(zero);
    GradientOfOutputs<T> gradient;
    gradient.dy = dy.as<T>();
    std::visit([&](const auto& back) { set_outlet(gradient, args.sum.rows(), back); },
               args.gradient.outlet);
    return gradient;
  });
}

}  // namespace funnel
