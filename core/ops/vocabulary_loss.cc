// SPDX-License-Identifier: Apache-2.0
#include "core/ops/vocabulary_loss.h"

#include <limits>
#include <type_traits>

#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/index_check.h"
#include "core/ops/token_draw.h"

namespace funnel {
namespace {

template <class T>
struct VocabularyLossRow {
  static constexpr unsigned kMinBlocks = 1;  // no spills
  using C = Compute<T>;
  T* logits;
  const int32_t* targets;
  int64_t vocab;
  C outside;  // the logit of a target that leaves the vocabulary: NaN
  C* loss;
  uint8_t* correct;
  bool wants_gradient;
  C factor;
  int32_t* samples;  // or null
  RandomStream stream;
  int64_t first_row;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    T* z = logits + row * vocab;
    const int64_t index = targets[row];
    const bool is_absent = index == kNoTarget, is_inside = index >= 0 && index < vocab;
    const C target = is_inside ? C(z[index]) : outside;  // every member reads it before any writes
    const C largest = team.max(vocab, [=](int64_t v) { return C(z[v]); });
    const C sum = team.sum(vocab, [=](int64_t v) { return math::exp(z[v] - largest); });
    const C normaliser = largest + math::log(sum);
    if (samples != nullptr) {
      const int32_t token = draw_token(z, vocab, stream, first_row + row, team);
      if (team.leader()) samples[row] = token;
    }
    if (team.leader()) {
      loss[row] = is_absent ? C(0) : normaliser - target;
      correct[row] = !is_absent && largest <= target;
    }
    if (!wants_gradient) return;
    const C scale = is_absent ? C(0) : factor;
    if constexpr (std::is_same_v<T, C>) {
      team.each(vocab, [=](int64_t v) { z[v] = scale * math::exp(z[v] - normaliser); });
      if (team.leader() && is_inside) z[index] -= scale;
    } else {
      // The target's difference is taken before it is rounded: near 1 a probability of bf16 has
      // nothing left to tell from 1.
      team.each(vocab, [=](int64_t v) {
        z[v] = scale * (math::exp(z[v] - normaliser) - (v == index ? C(1) : C(0)));
      });
    }
  }
};

}  // namespace

void vocabulary_loss(Context& context, const VocabularyLoss& args) {
  const int64_t vocab = args.logits.cols(), rows = args.logits.rows();
  FUNNEL_CHECK(vocab >= 1, "vocabulary_loss: expected a vocabulary, found none");
  check_shape("vocabulary_loss: targets", args.targets, {rows});
  check_shape("vocabulary_loss: loss", args.loss, {rows});
  check_shape("vocabulary_loss: correct", args.correct, {rows});
  if (args.samples) check_shape("vocabulary_loss: samples", args.samples, {rows});
  check_indices("vocabulary_loss: target", args.targets, vocab, "a vocabulary", kNoTarget);
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    for_each_row(context, rows,
                 VocabularyLossRow<T>{.logits = args.logits.as<T>(),
                                      .targets = args.targets.as<int32_t>(),
                                      .vocab = vocab,
                                      .outside = std::numeric_limits<C>::quiet_NaN(),
                                      .loss = args.loss.as<C>(),
                                      .correct = args.correct.as<uint8_t>(),
                                      .wants_gradient = args.wants_gradient,
                                      .factor = C(args.factor),
                                      .samples = args.samples.as<int32_t>(),
                                      .stream = args.stream,
                                      .first_row = args.first_row},
                 vocab);
  });
}

}  // namespace funnel
