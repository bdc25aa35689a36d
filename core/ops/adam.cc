// SPDX-License-Identifier: Apache-2.0
#include "core/ops/adam.h"

#include "core/backend/launch.h"
#include "core/base/math.h"

namespace funnel {
namespace {

template <class T>
struct AdamUpdateElement {
  T* values;
  T* moment1;
  T* moment2;
  const T* grads;
  T gradient_factor, beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon, rate, decay;

  FUNNEL_HD void operator()(int64_t i) const {
    const T w = values[i];
    const T g = gradient_factor * grads[i];
    const T m = beta1 * moment1[i] + one_minus_beta1 * g;
    const T v = beta2 * moment2[i] + one_minus_beta2 * (g * g);
    moment1[i] = m;
    moment2[i] = v;
    values[i] = w - (rate * (m / (math::sqrt(v) + epsilon)) + decay * w);
  }
};

}  // namespace

void adam_update(Context& context, const AdamUpdate& args) {
  const int64_t n = args.values.elements();
  check_shape("adam_update: moment1", args.moment1, args.values.shape());
  check_shape("adam_update: moment2", args.moment2, args.values.shape());
  check_shape("adam_update: grads", args.grads, args.values.shape());
  with_float_type(args.values.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each(context, n,
             AdamUpdateElement<T>{args.values.as<T>(), args.moment1.as<T>(), args.moment2.as<T>(),
                                  args.grads.as<T>(), T(args.gradient_factor), T(args.beta1),
                                  T(1.0 - args.beta1), T(args.beta2), T(1.0 - args.beta2),
                                  T(args.epsilon), T(args.rate), T(args.decay)});
  });
}

}  // namespace funnel
