// SPDX-License-Identifier: Apache-2.0
#include "core/ops/layer_norm.h"

#include "core/base/math.h"
#include "core/ops/dropout_rows.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

// Rows whose share of dgamma and dbeta one call of the backward functor adds up.
constexpr int64_t kRowsPerBlock = 32;

template <class T>
struct LayerNormForwardRow {
  using C = Compute<T>;
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
    const T* g = gamma;
    const T* b = beta;
    T* out = y + row * cols;
    const C m = team.sum(cols, [=](int64_t i) { return C(in[i]); }) / C(cols);
    const C variance =
        team.sum(cols, [=](int64_t i) { return (in[i] - m) * (in[i] - m); }) / C(cols);
    const C r = C(1) / math::sqrt(variance + epsilon);
    team.each(cols, [=](int64_t i) { out[i] = (in[i] - m) * r * g[i] + b[i]; });
    if (team.leader()) {
      mean[row] = m;
      rstd[row] = r;
    }
  }
};

template <class T>
struct ResidualNormForwardRow {
  const T* residual;
  T* branch;
  Dropout dropout;
  LayerNormForwardRow<T> norm;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t first = row * norm.cols;
    const T* in = residual + first;
    T* out = branch + first;
    each_with_factor(team, norm.cols, dropout, first, [=](int64_t i, float factor) {
      out[i] = in[i] + out[i] * Compute<T>(factor);
    });
    norm(row, team);
  }
};

// dx of one block of rows, and the block's part of dgamma and dbeta.
//     dx = rstd (g - mean(g) - xhat mean(g xhat)),   g = gamma dy,   xhat = (x - mean) rstd
template <class T>
struct LayerNormBackwardBlock {
  using C = Compute<T>;
  const T* x;
  const T* gamma;
  const C* mean;
  const C* rstd;
  const T* dy;
  int64_t rows, cols;
  T* dx;
  C* dgamma_partial;  // [blocks, cols]
  C* dbeta_partial;   // [blocks, cols]
  Dropout dropout;
  T* dbranch = nullptr;  // dx through the dropout, where there is one

  template <class Team>
  FUNNEL_HD void operator()(int64_t block, const Team& team) const {
    C* dgamma = dgamma_partial + block * cols;
    C* dbeta = dbeta_partial + block * cols;
    team.each(cols, [=](int64_t i) {
      dgamma[i] = 0;
      dbeta[i] = 0;
    });
    const int64_t first = block * kRowsPerBlock;
    const int64_t last = first + kRowsPerBlock < rows ? first + kRowsPerBlock : rows;
    for (int64_t row = first; row < last; ++row) backward_row(row, dgamma, dbeta, team);
  }

  template <class Team>
  FUNNEL_HD void backward_row(int64_t row, C* dgamma, C* dbeta, const Team& team) const {
    const T* in = x + row * cols;
    const T* dout = dy + row * cols;
    const T* g = gamma;
    T* din = dx + row * cols;
    const C m = mean[row], r = rstd[row];
    const C mean_g = team.sum(cols, [=](int64_t i) { return g[i] * dout[i]; }) / C(cols);
    const C mean_g_xhat =
        team.sum(cols, [=](int64_t i) { return g[i] * dout[i] * ((in[i] - m) * r); }) / C(cols);
    team.each(cols, [=](int64_t i) {
      const C d = dout[i];
      const C xhat = (in[i] - m) * r;
      dgamma[i] += d * xhat;
      dbeta[i] += d;
      din[i] = r * (g[i] * d - mean_g - xhat * mean_g_xhat);
    });
    if (dbranch == nullptr) return;
    T* dropped = dbranch + row * cols;
    each_with_factor(team, cols, dropout, row * cols,
                     [=](int64_t i, float factor) { dropped[i] = din[i] * C(factor); });
  }
};

template <class T>
LayerNormForwardRow<T> forward_row(const LayerNormForward& args) {
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

void run_backward(Context& context, const LayerNormBackward& args, const Dropout& dropout,
                  Tensor dbranch) {
  check_backward(args);
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  const int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
  Scratch scratch(context.scratch());
  const DType summed = compute_dtype(args.x.dtype());
  const Tensor dgamma = scratch.tensor({blocks, cols}, summed);
  const Tensor dbeta = scratch.tensor({blocks, cols}, summed);
  with_storage_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    for_each_row(context, blocks,
                 LayerNormBackwardBlock<T>{.x = args.x.as<T>(),
                                           .gamma = args.gamma.as<T>(),
                                           .mean = args.mean.as<C>(),
                                           .rstd = args.rstd.as<C>(),
                                           .dy = args.dy.as<T>(),
                                           .rows = rows,
                                           .cols = cols,
                                           .dx = args.dx.as<T>(),
                                           .dgamma_partial = dgamma.as<C>(),
                                           .dbeta_partial = dbeta.as<C>(),
                                           .dropout = dropout,
                                           .dbranch = dbranch.as<T>()});
  });
  sum_rows(context, dgamma, args.dgamma);
  sum_rows(context, dbeta, args.dbeta);
}

}  // namespace

void layer_norm_forward(Context& context, const LayerNormForward& args) {
  check_forward(args);
  with_storage_type(args.x.dtype(), [&](auto zero) {
    for_each_row(context, args.x.rows(), forward_row<decltype(zero)>(args));
  });
}

void layer_norm_backward(Context& context, const LayerNormBackward& args) {
  run_backward(context, args, Dropout(), Tensor());
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
    for_each_row(context, args.branch.rows(),
                 ResidualNormForwardRow<T>{args.residual.as<T>(), args.branch.as<T>(), args.dropout,
                                           forward_row<T>(norm)});
  });
}

void residual_norm_backward(Context& context, const ResidualNormBackward& args) {
  check_shape("residual_norm: dbranch", args.dbranch, args.sum.shape());
  FUNNEL_CHECK(args.sum.elements() == 0 || args.dbranch.data() != args.dy.data(),
               "residual_norm: dbranch must not be dy");
  run_backward(context,
               {.x = args.sum,
                .gamma = args.gamma,
                .mean = args.mean,
                .rstd = args.rstd,
                .dy = args.dy,
                .dx = args.dresidual,
                .dgamma = args.dgamma,
                .dbeta = args.dbeta},
               args.dropout, args.dbranch);
}

}  // namespace funnel
