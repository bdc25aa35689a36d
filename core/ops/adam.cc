// SPDX-License-Identifier: Apache-2.0
#include "core/ops/adam.h"

#include "core/base/math.h"
#include "core/ops/chunks.h"

namespace funnel {
namespace {

template <class T>
struct AdamUpdateChunk {
  T* values;
  T* moment1;
  T* moment2;
  const T* grads;
  const double* device_factor;  // or null
  double host_factor;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon, rate, decay;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    const double factor = device_factor != nullptr ? host_factor * *device_factor : host_factor;
    if (!math::is_finite(factor)) return;
    const AdamUpdateChunk n = *this;
    const T by = static_cast<T>(factor);
    T* value = values + first;
    T* m1 = moment1 + first;
    T* m2 = moment2 + first;
    const T* grad = grads + first;
    team.each(count, [=](int64_t i) {
      const T w = value[i];
      const T g = by * grad[i];
      const T m = n.beta1 * m1[i] + n.one_minus_beta1 * g;
      const T v = n.beta2 * m2[i] + n.one_minus_beta2 * (g * g);
      m1[i] = m;
      m2[i] = v;
      value[i] = w - (n.rate * (m / (math::sqrt(v) + n.epsilon)) + n.decay * w);
    });
  }
};

}  // namespace

void adam_update(Context& context, const AdamUpdate& args) {
  const int64_t n = args.values.elements();
  check_shape("adam_update: moment1", args.moment1, args.values.shape());
  check_shape("adam_update: moment2", args.moment2, args.values.shape());
  check_shape("adam_update: grads", args.grads, args.values.shape());
  if (args.factor) check_shape("adam_update: factor", args.factor, {1});
  with_float_type(args.values.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_chunk(
        context, n,
        AdamUpdateChunk<T>{args.values.as<T>(), args.moment1.as<T>(), args.moment2.as<T>(),
                           args.grads.as<T>(), args.factor.as<double>(), args.gradient_factor,
                           T(args.beta1), T(1.0 - args.beta1), T(args.beta2), T(1.0 - args.beta2),
                           T(args.epsilon), T(args.rate), T(args.decay)});
  });
}

}  // namespace funnel
