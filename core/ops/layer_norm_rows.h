// SPDX-License-Identifier: Apache-2.0
// The row bodies of the norms. A row is read once and held; its sums and the result are those of
// what is held. Included only by the norms' sources.
#pragma once

#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/dropout_rows.h"
#include "core/ops/layer_norm.h"
#include "core/ops/reduce.h"

namespace funnel {

static_assert(kLongestNorm <= kLongestHeldRow<float>);

// Rows whose share of dgamma and dbeta one call of the backward functor adds up.
inline constexpr int64_t kNormRowsPerBlock = 32;

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

  // y of a held row, which becomes y as it is stored.
  template <class Team>
  FUNNEL_HD void normalise(int64_t row, C* held, const Team& team) const {
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
    team.template each_slot<Held::kMost>(cols, [=](int64_t i, int64_t s) {
      const T value((held[s] - m) * r * g[i] + b[i]);
      out[i] = value;
      held[s] = value;
    });
    if (team.leader()) {
      mean[row] = m;
      rstd[row] = r;
    }
  }
};

// Where backward finds the gradient of y's rows; load() brings one row to the slots of d.
template <class T>
struct RowsOfGradient {
  const T* dy;  // [rows, cols]

  template <int64_t kMost, class Team>
  FUNNEL_HD void load(int64_t row, int64_t cols, Compute<T>* d, const Team& team) const {
    const T* from = dy + row * cols;
    team.template each_slot<kMost>(cols, [=](int64_t i, int64_t s) { d[s] = from[i]; });
  }
};

// dx of one block of rows, and the block's part of the parameters' gradients, which it holds while
// it visits each row once.
//     dx = rstd (g - mean(g) - xhat mean(g xhat)),   g = gamma dy,   xhat = (x - mean) rstd
template <class T, class HeldRows, class Gradient>
struct LayerNormBackwardBlock {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  using Held = HeldRows;
  const T* x;
  const T* gamma;
  const C* mean;
  const C* rstd;
  Gradient gradient;
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
    const int64_t first = block * kNormRowsPerBlock;
    const int64_t last = first + kNormRowsPerBlock < rows ? first + kNormRowsPerBlock : rows;
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
    const T* scale = gamma;
    T* din = dx + row * cols;
    const C m = mean[row], r = rstd[row];
    C g[Team::slots(Held::kMost)], xhat[Team::slots(Held::kMost)];
    gradient.template load<Held::kMost>(row, cols, g, team);
    team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) {
      const C d = g[s];
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
    const auto result = [&](int64_t s) { return T(r * (g[s] - mean_g - xhat[s] * mean_g_xhat)); };
    if (dbranch == nullptr) {
      team.template each_slot<Held::kMost>(cols, [&](int64_t i, int64_t s) { din[i] = result(s); });
      return;
    }
    T* dropped = dbranch + row * cols;
    each_slot_with_factor<Held::kMost>(team, cols, dropout, row * cols,
                                       [&](int64_t i, int64_t s, float factor) {
                                         const T value = result(s);
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

// The tensors of LayerNormBackward that every backward has; dbranch and dbias may be null.
struct NormBackward {
  ConstTensor x, gamma, mean, rstd;
  Tensor dx, dgamma, dbeta;
  Dropout dropout = {};
  Tensor dbranch = {}, dbias = {};
};

// gradient(T) is where a row's gradient comes from, for each storage type.
template <class GradientOf>
void run_norm_backward(Context& context, const NormBackward& args, GradientOf gradient) {
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  const int64_t blocks = (rows + kNormRowsPerBlock - 1) / kNormRowsPerBlock;
  const int64_t parts = args.dbranch ? 3 : 2;
  Scratch scratch(context.scratch());
  const Tensor partial = scratch.tensor({parts, blocks, cols}, compute_dtype(args.x.dtype()));
  with_storage_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    using Gradient = decltype(gradient(zero));
    with_held_row<C>(cols, [&](auto held) {
      for_each_row(
          context, blocks,
          LayerNormBackwardBlock<T, decltype(held), Gradient>{.x = args.x.as<T>(),
                                                              .gamma = args.gamma.as<T>(),
                                                              .mean = args.mean.as<C>(),
                                                              .rstd = args.rstd.as<C>(),
                                                              .gradient = gradient(zero),
                                                              .rows = rows,
                                                              .cols = cols,
                                                              .dx = args.dx.as<T>(),
                                                              .partial = partial.as<C>(),
                                                              .blocks = blocks,
                                                              .dropout = args.dropout,
                                                              .dbranch = args.dbranch.as<T>()});
    });
  });
  const Tensor sums[] = {args.dgamma, args.dbeta, args.dbias};
  sum_parts(context, partial, {sums, static_cast<size_t>(parts)});
}

// What both norms ask of their arguments.
void check_norm(const LayerNormForward& args);
void check_norm(const NormBackward& args);

}  // namespace funnel
