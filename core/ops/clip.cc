// SPDX-License-Identifier: Apache-2.0
#include "core/ops/clip.h"

#include <limits>

#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

struct RootElement {
  double factor;
  double* norm;  // a sum of squares becomes a norm
  FUNNEL_HD void operator()(int64_t) const { *norm = factor * math::sqrt(*norm); }
};

struct ClipFactorElement {
  const double* norm;
  const double* loss;
  double limit, not_finite;
  double* factor;

  FUNNEL_HD void operator()(int64_t) const {
    const bool finite = math::is_finite(*norm) && (loss == nullptr || math::is_finite(*loss));
    const double clipped = limit > 0 && *norm > limit ? limit / *norm : 1.0;
    *factor = finite ? clipped : not_finite;
  }
};

}  // namespace

void gradient_norm(Context& context, ConstTensor grads, double factor, Tensor norm) {
  sum_squares(context, grads, norm);
  for_each(context, 1, RootElement{factor, norm.as<double>()});
}

void clip_factor(Context& context, const ClipFactor& args) {
  FUNNEL_CHECK(args.limit >= 0, "clip_factor: expected a limit of at least 0, found ", args.limit);
  check_shape("clip_factor: norm", args.norm, {1});
  if (args.loss) check_shape("clip_factor: loss", args.loss, {1});
  check_shape("clip_factor: factor", args.factor, {1});
  for_each(context, 1,
           ClipFactorElement{args.norm.as<double>(), args.loss.as<double>(), args.limit,
                             std::numeric_limits<double>::quiet_NaN(), args.factor.as<double>()});
}

}  // namespace funnel
