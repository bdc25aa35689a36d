// SPDX-License-Identifier: Apache-2.0
#include "core/ops/layer_norm.h"

#include "core/base/math.h"
#include "core/ops/dropout_rows.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

static_assert(kLongestNorm <= kLongestHeldRow<float>);

// Rows whose share of dgamma and dbeta one call of the backward functor adds up.
constexpr int64_t kRowsPerBlock = 32;

// A row is read once and held; its sums and the result are those of what is held.
template <class T, class HeldRows>
struct LayerNormForwardRow {
  using C = Compute<T>;
  using Held = HeldRows;
  const T* x;
  const T* gamma;
  const T* beta;
  C epsilon;
  int64_t cols;
  T* y;
  C* mean;
  C* rstd;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const T* in = x + row * cols;
    C held[Team::slots(Held::kMost)];
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) { held[s] = in[i]; });
    normalise(row, held, team);
  }

  template <class Team>
  FUNNEL_HD void normalise(int64_t row, const C* held, const Team& team) const {
    const T* g = gamma;
    const T* b = beta;
    T* out = y + row * cols;
    const C m = team.template sum_slots<Held::kMost>(cols, [=](int64_t, int64_t s) {
      return held[s];
    }) / C(cols);
    const C variance = team.template sum_slots<Held::kMost>(cols, [=](int64_t, int64_t s) {
      return (held[s] - m) * (held[s] - m);
    }) / C(cols);
    const C r = C(1) / math::sqrt(variance + epsilon);
    team.template each_slot<Held::kMost>(
        cols, [=](int64_t i, int64_t s) { out[i] = (held[s] - m) * r * g[i] + b[i]; });
    if (team.leader()) {
      mean[row] = m;
      rstd[row] = r;
    }
  }
};

template <class T, class HeldRows>
struct ResidualNormForwardRow {
  using C = Compute<T>;
  using Held = HeldRows;
  const T* residual;
  T* branch;
  Dropout dropout;
  LayerNormForwardRow<T, HeldRows> norm;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t first = row * norm.cols;
    const T* in = residual + first;
    T* out = branch + first;
    C held[Team::slots(Held::kMost)];
    each_slot_with_factor<Held::kMost>(team, norm.cols, dropout, first,
                                       [&](int64_t i, int64_t s, float factor) {
                                         const T sum(in[i] + out[i] * C(factor));
                                         out[i] = sum;
                                         held[s] = sum;
                                       });
    norm.normalise(row, held, team);
  }
};

// dx of one block of rows, and the block's part of the parameters' gradients, which it holds while
// it visits each row once.
//     dx = rstd (g - mean(g) - xhat mean(g xhat)),   g = gamma dy,   xhat = (x - mean) rstd
template <class T, class HeldRows>
struct LayerNormBackwardBlock {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  const T* x;
  const T* gamma;
  const C* mean;
  const C* rstd;
  const T* dy;
  int64_t rows, cols;
  T* dx;
  C* partial;  // [2 or 3, blocks, cols]: of gamma, beta and, if there is a branch, its bias
  int64_t blocks;
  Dropout dropout;
  T* dbranch = nullptr;  // dx through the dropout, where there is one

  template <class Team>
  struct Parts {
    C dgamma[Team::slots(Held::kMost)], dbeta[Team::slots(Held::kMost)];
    C dbias[Team::slots(Held::kMost)];
  };

  template <class Team>
  FUNNEL_HD void operator()(int64_t block, const Team& team) const {
    Parts<Team> parts;
    team.template each_slot<Held::kMost>(cols, [&](int64_t, int64_t s) {
      parts.dgamma[s] = 0;
      parts.dbeta[s] = 0;
      parts.dbias[s] = 0;
    });
    const int64_t first = block * kRowsPerBlock;
    const int64_t last = first + kRowsPerBlock < rows ? first + kRowsPerBlock : rows;
    for (int64_t row = first; row < last; ++row) backward_row(row, parts, team);

    C* dgamma = partial + block * cols;
    C* dbeta = dgamma + blocks * cols;
    C* dbias = dbeta + blocks * cols;
    const bool has_branch = dbranch != nullptr;
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      dgamma[i] = parts.dgamma[s];
      dbeta[i] = parts.dbeta[s];
      if (has_branch) dbias[i] = parts.dbias[s];
    });
  }

  template <class Team>
  FUNNEL_HD void backward_row(int64_t row, Parts<Team>& parts, const Team& team) const {
    const T* in = x + row * cols;
    const T* dout = dy + row * cols;
    const T* scale = gamma;
    T* din = dx + row * cols;
    const C m = mean[row], r = rstd[row];
    C g[Team::slots(Held::kMost)], xhat[Team::slots(Held::kMost)];
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      const C d = dout[i];
      g[s] = scale[i] * d;
      xhat[s] = (in[i] - m) * r;
      parts.dgamma[s] += d * xhat[s];
      parts.dbeta[s] += d;
    });
    const C mean_g = team.template sum_slots<Held::kMost>(cols, [&](int64_t, int64_t s) {
      return g[s];
    }) / C(cols);
    const C mean_g_xhat = team.template sum_slots<Held::kMost>(cols, [&](int64_t, int64_t s) {
      return g[s] * xhat[s];
    }) / C(cols);
    const auto gradient = [&](int64_t s) { return T(r * (g[s] - mean_g - xhat[s] * mean_g_xhat)); };
    if (dbranch == nullptr) {
      team.template each_slot<Held::kMost>(cols,
                                           [&](int64_t i, int64_t s) { din[i] = gradient(s); });
      return;
    }
    T* dropped = dbranch + row * cols;
    each_slot_with_factor<Held::kMost>(team, cols, dropout, row * cols,
                                       [&](int64_t i, int64_t s, float factor) {
                                         const T value = gradient(s);
                                         const T of_branch(value * C(factor));
                                         din[i] = value;
                                         dropped[i] = of_branch;
                                         parts.dbias[s] += of_branch;
                                       });
  }
};

template <class T, class HeldRows>
LayerNormForwardRow<T, HeldRows> forward_row(const LayerNormForward& args) {
  using C = Compute<T>;
  return {.x = args.x.as<T>(),
          .gamma = args.gamma.as<T>(),
          .beta = args.beta.as<T>(),
          .epsilon = static_cast<C>(args.epsilon),
          .cols = args.x.cols(),
          .y = args.y.as<T>(),
          .mean = args.mean.as<C>(),
          .rstd = args.rstd.as<C>()};
}

void check_forward(const LayerNormForward& args) {
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  check_shape("layer_norm: gamma", args.gamma, {cols});
  check_shape("layer_norm: beta", args.beta, {cols});
  check_shape("layer_norm: y", args.y, args.x.shape());
  FUNNEL_CHECK(args.mean.elements() == rows && args.rstd.elements() == rows,
               "layer_norm: expected mean and rstd of ", rows, " rows, found ", args.mean.shape(),
               " and ", args.rstd.shape());
  FUNNEL_CHECK(rows == 0 || args.x.data() != args.y.data(), "layer_norm: y must not be x");
}

void check_backward(const LayerNormBackward& args) {
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  check_shape("layer_norm: gamma", args.gamma, {cols});
  check_shape("layer_norm: dy", args.dy, args.x.shape());
  check_shape("layer_norm: dx", args.dx, args.x.shape());
  check_shape("layer_norm: dgamma", args.dgamma, {cols});
  check_shape("layer_norm: dbeta", args.dbeta, {cols});
  FUNNEL_CHECK(args.mean.elements() == rows && args.rstd.elements() == rows,
               "layer_norm: expected mean and rstd of ", rows, " rows, found ", args.mean.shape(),
               " and ", args.rstd.shape());
}

void run_backward(Context& context, const LayerNormBackward& args, const Dropout& dropout = {},
                  Tensor dbranch = {}, Tensor dbias = {}) {
  check_backward(args);
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock, parts = dbranch ? 3 : 2;
  Scratch scratch(context.scratch());
  const Tensor partial = scratch.tensor({parts, blocks, cols}, compute_dtype(args.x.dtype()));
  with_storage_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    with_held_row<C>(cols, [&](auto held) {
      for_each_row(context, blocks,
                   LayerNormBackwardBlock<T, decltype(held)>{.x = args.x.as<T>(),
                                                             .gamma = args.gamma.as<T>(),
                                                             .mean = args.mean.as<C>(),
                                                             .rstd = args.rstd.as<C>(),
                                                             .dy = args.dy.as<T>(),
                                                             .rows = rows,
                                                             .cols = cols,
                                                             .dx = args.dx.as<T>(),
                                                             .partial = partial.as<C>(),
                                                             .blocks = blocks,
                                                             .dropout = dropout,
                                                             .dbranch = dbranch.as<T>()});
    });
  });
  const Tensor sums[] = {args.dgamma, args.dbeta, dbias};
  sum_parts(context, partial, {sums, static_cast<size_t>(parts)});
}

}  // namespace

void layer_norm_forward(Context& context, const LayerNormForward& args) {
  check_forward(args);
  with_storage_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_held_row<Compute<T>>(args.x.cols(), [&](auto held) {
      for_each_row(context, args.x.rows(), forward_row<T, decltype(held)>(args));
    });
  });
}

void layer_norm_backward(Context& context, const LayerNormBackward& args) {
  run_backward(context, args);
}

void residual_norm_forward(Context& context, const ResidualNormForward& args) {
  check_shape("residual_norm: branch", args.branch, args.residual.shape());
  const LayerNormForward norm{.x = args.branch,
                              .gamma = args.gamma,
                              .beta = args.beta,
                              .epsilon = args.epsilon,
                              .y = args.y,
                              .mean = args.mean,
                              .rstd = args.rstd};
  check_forward(norm);
  with_storage_type(args.branch.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_held_row<Compute<T>>(args.branch.cols(), [&](auto held) {
      using Held = decltype(held);
      for_each_row(context, args.branch.rows(),
                   ResidualNormForwardRow<T, Held>{args.residual.as<T>(), args.branch.as<T>(),
                                                   args.dropout, forward_row<T, Held>(norm)});
    });
  });
}

void residual_norm_backward(Context& context, const ResidualNormBackward& args) {
  check_shape("residual_norm: dbranch", args.dbranch, args.sum.shape());
  FUNNEL_CHECK(args.sum.elements() == 0 || args.dbranch.data() != args.dy.data(),
               "residual_norm: dbranch must not be dy");
  check_shape("residual_norm: dbias", args.dbias, {args.sum.cols()});
  run_backward(context,
               {.x = args.sum,
                .gamma = args.gamma,
                .mean = args.mean,
                .rstd = args.rstd,
                .dy = args.dy,
                .dx = args.dresidual,
                .dgamma = args.dgamma,
                .dbeta = args.dbeta},
               args.dropout, args.dbranch, args.dbias);
}

}  // namespace funnel
