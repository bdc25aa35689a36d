// SPDX-License-Identifier: Apache-2.0
#include "core/ops/cross_entropy.h"

#include "core/backend/launch.h"
#include "core/base/math.h"

namespace funnel {
namespace {

template <class T>
struct BinaryCrossEntropyForwardElement {
  using C = Compute<T>;
  const T* logits;
  const uint8_t* labels;
  const uint8_t* hidden;
  C* loss;
  uint8_t* correct;

  FUNNEL_HD void operator()(int64_t i) const {
    const C z = logits[i];
    const C value = (z > 0 ? z : C(0)) - (labels[i] != 0 ? z : C(0)) + math::log1p_exp_minus_abs(z);
    loss[i] = hidden[i] != 0 ? C(0) : value;
    correct[i] = (hidden[i] == 0) & ((z > 0) == (labels[i] != 0));
  }
};

template <class T>
struct BinaryCrossEntropyBackwardElement {
  using C = Compute<T>;
  const T* logits;
  const uint8_t* labels;
  const uint8_t* hidden;
  C factor;
  T* dlogits;

  FUNNEL_HD void operator()(int64_t i) const {
    const C value = factor * (math::sigmoid(C(logits[i])) - (labels[i] != 0 ? C(1) : C(0)));
    dlogits[i] = hidden[i] != 0 ? C(0) : value;
  }
};

}  // namespace

void binary_cross_entropy_forward(Context& context, const BinaryCrossEntropyForward& args) {
  const int64_t n = args.logits.elements();
  check_shape("binary_cross_entropy_forward: labels", args.labels, args.logits.shape());
  check_shape("binary_cross_entropy_forward: hidden", args.hidden, args.logits.shape());
  check_shape("binary_cross_entropy_forward: loss", args.loss, args.logits.shape());
  check_shape("binary_cross_entropy_forward: correct", args.correct, args.logits.shape());
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    for_each(context, n,
             BinaryCrossEntropyForwardElement<T>{args.logits.as<T>(), args.labels.as<uint8_t>(),
                                                 args.hidden.as<uint8_t>(), args.loss.as<C>(),
                                                 args.correct.as<uint8_t>()});
  });
}

void binary_cross_entropy_backward(Context& context, const BinaryCrossEntropyBackward& args) {
  const int64_t n = args.logits.elements();
  check_shape("binary_cross_entropy_backward: labels", args.labels, args.logits.shape());
  check_shape("binary_cross_entropy_backward: hidden", args.hidden, args.logits.shape());
  check_shape("binary_cross_entropy_backward: dlogits", args.dlogits, args.logits.shape());
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    for_each(context, n,
             BinaryCrossEntropyBackwardElement<T>{args.logits.as<T>(), args.labels.as<uint8_t>(),
                                                  args.hidden.as<uint8_t>(), C(args.factor),
                                                  args.dlogits.as<T>()});
  });
}

}  // namespace funnel
