// SPDX-License-Identifier: Apache-2.0
#include "core/ops/adam.h"

#include "core/base/math.h"
#include "core/ops/chunks.h"

namespace funnel {
namespace {

// kCopies: also writes each new value, rounded, to `copy`.
template <class T, bool kCopies>
struct AdamUpdateRow {
  const AdamChunk* chunks;
  T* values;
  T* moment1;
  T* moment2;
  const T* grads;
  BFloat16* copy;
  const double* device_factor;  // or null
  double host_factor;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon, rate, decay;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const double factor = device_factor != nullptr ? host_factor * *device_factor : host_factor;
    if (!math::is_finite(factor)) return;
    const AdamUpdateRow n = *this;
    const AdamChunk chunk = chunks[row];
    const T by = static_cast<T>(factor);
    const T shrink = chunk.decays != 0 ? decay : T(0);
    T* value = values + chunk.first;
    T* m1 = moment1 + chunk.first;
    T* m2 = moment2 + chunk.first;
    const T* grad = grads + chunk.first;
    [[maybe_unused]] BFloat16* rounded = kCopies ? copy + chunk.first : nullptr;
    team.each(chunk.count, [=](int64_t i) {
      const T w = value[i];
      const T g = by * grad[i];
      const T m = n.beta1 * m1[i] + n.one_minus_beta1 * g;
      const T v = n.beta2 * m2[i] + n.one_minus_beta2 * (g * g);
      m1[i] = m;
      m2[i] = v;
      const T updated = w - (n.rate * (m / (math::sqrt(v) + n.epsilon)) + shrink * w);
      value[i] = updated;
      if constexpr (kCopies) rounded[i] = static_cast<float>(updated);
    });
  }
};

}  // namespace

void adam_update(Context& context, const AdamUpdate& args) {
  check_shape("adam_update: moment1", args.moment1, args.values.shape());
  check_shape("adam_update: moment2", args.moment2, args.values.shape());
  check_shape("adam_update: grads", args.grads, args.values.shape());
  if (args.copy) check_shape("adam_update: copy", args.copy, args.values.shape());
  if (args.factor) check_shape("adam_update: factor", args.factor, {1});
  const auto chunk_bytes = static_cast<int64_t>(sizeof(AdamChunk));
  FUNNEL_CHECK(args.chunks.dtype() == DType::u8 && args.chunks.bytes() % chunk_bytes == 0,
               "adam_update: expected chunks of ", chunk_bytes, " bytes, found ",
               args.chunks.bytes(), " bytes");
  with_float_type(args.values.dtype(), [&](auto type) {
    using T = decltype(type);
    const auto update = [&](auto copies) {
      for_each_row(context, args.chunks.bytes() / chunk_bytes,
                   AdamUpdateRow<T, copies.value>{
                       static_cast<const AdamChunk*>(args.chunks.data()), args.values.as<T>(),
                       args.moment1.as<T>(), args.moment2.as<T>(), args.grads.as<T>(),
                       args.copy.as<BFloat16>(), args.factor.as<double>(), args.gradient_factor,
                       T(args.beta1), T(1.0 - args.beta1), T(args.beta2), T(1.0 - args.beta2),
                       T(args.epsilon), T(args.rate), T(args.decay)},
                   kChunkElements);
    };
    if (args.copy) return update(std::true_type());
    update(std::false_type());
  });
}

}  // namespace funnel
