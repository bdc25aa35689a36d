// SPDX-License-Identifier: Apache-2.0
#include "core/ops/cross_entropy.h"

#include <limits>

#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/index_check.h"

namespace funnel {
namespace {

template <class T>
struct CrossEntropyForwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  const T* logits;
  const int32_t* targets;
  int64_t vocab;
  C outside;  // the logit of a target that leaves the vocabulary: NaN
  C* loss;
  C* logsumexp;
  uint8_t* correct;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const T* z = logits + row * vocab;
    const C largest = team.max(vocab, [=](int64_t v) { return C(z[v]); });
    const C sum = team.sum(vocab, [=](int64_t v) { return math::exp(z[v] - largest); });
    if (!team.leader()) return;
    const C normaliser = largest + math::log(sum);
    logsumexp[row] = normaliser;
    const int64_t index = targets[row];
    const bool is_absent = index == kNoTarget;
    const C target = index >= 0 && index < vocab ? C(z[index]) : outside;
    loss[row] = is_absent ? C(0) : normaliser - target;
    correct[row] = !is_absent && largest <= target;
  }
};

template <class T>
struct CrossEntropyBackwardRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  T* logits;
  const int32_t* targets;
  const C* logsumexp;
  int64_t vocab;
  C factor;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    T* z = logits + row * vocab;
    const C normaliser = logsumexp[row];
    const int64_t index = targets[row];
    const C scale = index == kNoTarget ? C(0) : factor;
    if constexpr (std::is_same_v<T, C>) {
      team.each(vocab, [=](int64_t v) { z[v] = scale * math::exp(z[v] - normaliser); });
      if (team.leader() && index >= 0 && index < vocab) z[index] -= scale;
    } else {
      // The target's difference is taken before it is rounded: near 1 a probability of bf16 has
      // nothing left to tell from 1.
      team.each(vocab, [=](int64_t v) {
        z[v] = scale * (math::exp(z[v] - normaliser) - (v == index ? C(1) : C(0)));
      });
    }
  }
};

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

void check_targets(ConstTensor targets, int64_t vocab) {
  check_indices("cross_entropy: target", targets, vocab, "a vocabulary", kNoTarget);
}

}  // namespace

void cross_entropy_forward(Context& context, const CrossEntropyForward& args) {
  const int64_t vocab = args.logits.cols(), rows = args.logits.rows();
  check_shape("cross_entropy_forward: targets", args.targets, {rows});
  check_shape("cross_entropy_forward: loss", args.loss, {rows});
  check_shape("cross_entropy_forward: logsumexp", args.logsumexp, {rows});
  check_shape("cross_entropy_forward: correct", args.correct, {rows});
  check_targets(args.targets, vocab);
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    for_each_row(context, rows,
                 CrossEntropyForwardRow<T>{args.logits.as<T>(), args.targets.as<int32_t>(), vocab,
                                           std::numeric_limits<C>::quiet_NaN(), args.loss.as<C>(),
                                           args.logsumexp.as<C>(), args.correct.as<uint8_t>()});
  });
}

void cross_entropy_backward(Context& context, const CrossEntropyBackward& args) {
  const int64_t vocab = args.logits.cols(), rows = args.logits.rows();
  check_shape("cross_entropy_backward: targets", args.targets, {rows});
  check_shape("cross_entropy_backward: logsumexp", args.logsumexp, {rows});
  check_targets(args.targets, vocab);
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    for_each_row(context, rows,
                 CrossEntropyBackwardRow<T>{args.logits.as<T>(), args.targets.as<int32_t>(),
                                            args.logsumexp.as<C>(), vocab, C(args.factor)});
  });
}

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
