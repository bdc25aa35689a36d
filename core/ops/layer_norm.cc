// SPDX-License-Identifier: Apache-2.0
#include "core/ops/layer_norm.h"

#include "core/ops/layer_norm_rows.h"

namespace funnel {
namespace {

void check_statistics(int64_t rows, ConstTensor mean, ConstTensor rstd) {
  FUNNEL_CHECK(mean.elements() == rows && rstd.elements() == rows,
               "layer_norm: expected mean and rstd of ", rows, " rows, found ", mean.shape(),
               " and ", rstd.shape());
}

}  // namespace

void check_norm(const LayerNormForward& args) {
  const int64_t rows = args.x.rows(), cols = args.x.cols();
  check_shape("layer_norm: gamma", args.gamma, {cols});
  check_shape("layer_norm: beta", args.beta, {cols});
  check_shape("layer_norm: y", args.y, args.x.shape());
  check_statistics(rows, args.mean, args.rstd);
  FUNNEL_CHECK(rows == 0 || args.x.data() != args.y.data(), "layer_norm: y must not be x");
}

void check_norm(const NormBackward& args) {
  const int64_t cols = args.x.cols();
  check_shape("layer_norm: gamma", args.gamma, {cols});
  check_shape("layer_norm: dx", args.dx, args.x.shape());
  check_shape("layer_norm: dgamma", args.dgamma, {cols});
  check_shape("layer_norm: dbeta", args.dbeta, {cols});
  check_statistics(args.x.rows(), args.mean, args.rstd);
}

void layer_norm_forward(Context& context, const LayerNormForward& args) {
  check_norm(args);
  with_storage_type(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_held_row<Compute<T>>(args.x.cols(), [&](auto held) {
      for_each_row(context, args.x.rows(), forward_row<T, decltype(held)>(args));
    });
  });
}

void layer_norm_backward(Context& context, const LayerNormBackward& args) {
  const NormBackward norm{.x = args.x,
                          .gamma = args.gamma,
                          .mean = args.mean,
                          .rstd = args.rstd,
                          .dx = args.dx,
                          .dgamma = args.dgamma,
                          .dbeta = args.dbeta};
  check_norm(norm);
  check_shape("layer_norm: dy", args.dy, args.x.shape());
  run_norm_backward(context, norm, [&](auto zero) {
    using T = decltype(zero);
    return RowsOfGradient<T>{args.dy.as<T>()};
  });
}

}  // namespace funnel
