// SPDX-License-Identifier: Apache-2.0
#include "core/ops/sampling.h"

#include <bit>

#include "core/backend/cpu/philox_batch.h"
#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/ops/index_check.h"

namespace funnel {
namespace {

// Tokens that one member of a team draws for at a time: on the CPU as many as vectors like, on a
// device what registers hold and neighbours read together.
#ifdef __CUDA_ARCH__
constexpr int kCallsPerBlock = 1;
#else
constexpr int kCallsPerBlock = 64;
#endif
constexpr int kBlock = 4 * kCallsPerBlock;

// words[4 c + w] = word w of call first + c.
FUNNEL_HD inline void draw_words(const RandomStream& stream, uint64_t first, uint32_t* words) {
#ifdef __CUDA_ARCH__
  for (int c = 0; c < kCallsPerBlock; ++c) {
    const RandomBits bits = stream.bits(first + c);
    for (int w = 0; w < 4; ++w) words[4 * c + w] = bits.word[w];
  }
#else
  philox_words(stream, first, kCallsPerBlock, words);
#endif
}

// Orders (score, token) pairs by one integer: the larger score first, then the smaller token. Never
// 0, the identity of the maximum.
FUNNEL_HD inline uint64_t sample_key(float score, int64_t token) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  const uint32_t ordered = bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
  return (static_cast<uint64_t>(ordered) << 32) | (0xffffffffu - static_cast<uint32_t>(token));
}

FUNNEL_HD inline int32_t token_of_key(uint64_t key) {
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(key));
}

template <class T>
struct SampleTokensRow {
  const T* logits;
  int64_t vocab;
  RandomStream stream;
  int64_t first_row;
  int32_t* samples;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t blocks = (vocab + kBlock - 1) / kBlock;
    const uint64_t best =
        team.max(blocks, [=, this](int64_t block) { return best_of_block(row, block * kBlock); });
    if (team.leader()) samples[row] = token_of_key(best);
  }

  // Loops run over whole blocks, also at the end of a row, so that a score is computed by the same
  // instructions wherever its token lies.
  FUNNEL_HD uint64_t best_of_block(int64_t row, int64_t begin) const {
    const int64_t left = vocab - begin;
    const int count = left < kBlock ? static_cast<int>(left) : kBlock;
    const uint64_t calls_per_row = static_cast<uint64_t>((vocab + 3) / 4);
    uint32_t words[kBlock];
    draw_words(stream, static_cast<uint64_t>(first_row + row) * calls_per_row + begin / 4, words);

    const T* z = logits + row * vocab + begin;
    float scores[kBlock];
    for (int i = 0; i < count; ++i) scores[i] = static_cast<float>(z[i]);
    for (int i = count; i < kBlock; ++i) scores[i] = -HUGE_VALF;
    for (int i = 0; i < kBlock; ++i) {
      const float exponential = -math::log_of_normal(uniform01(words[i]) + 1e-9f);
      const float score = scores[i] - math::log_of_normal(exponential + 1e-9f);
      scores[i] = score == score ? score : -HUGE_VALF;
    }
    float best = -HUGE_VALF;
#pragma omp simd reduction(max : best)
    for (int i = 0; i < kBlock; ++i) best = scores[i] > best ? scores[i] : best;
    int first = kBlock;
#pragma omp simd reduction(min : first)
    for (int i = 0; i < kBlock; ++i) {
      const int candidate = scores[i] == best ? i : kBlock;
      first = candidate < first ? candidate : first;
    }
    return sample_key(best, begin + first);
  }
};

struct KeepTokenElement {
  const int32_t* input_ids;
  uint8_t original_label;
  int32_t* replaced_ids;
  uint8_t* labels;

  FUNNEL_HD void operator()(int64_t i) const {
    replaced_ids[i] = input_ids[i];
    labels[i] = original_label;
  }
};

struct ReplaceTokenElement {
  const int32_t* input_ids;
  const int32_t* rows;
  const int32_t* samples;
  const int32_t* targets;  // or null
  int64_t tokens;
  uint8_t original_label;
  int32_t* replaced_ids;
  uint8_t* labels;

  FUNNEL_HD void operator()(int64_t i) const {
    if (targets != nullptr && targets[i] == kNoTarget) return;
    const int32_t row = rows[i];
    if (row < 0 || row >= tokens) return;
    replaced_ids[row] = samples[i];
    labels[row] = samples[i] == input_ids[row] ? original_label : 1 - original_label;
  }
};

struct CountLabelElement {
  const uint8_t* labels;
  const uint8_t* padded;
  uint8_t value;
  uint8_t* counted;

  FUNNEL_HD void operator()(int64_t i) const {
    counted[i] = labels[i] == value && padded[i] == 0 ? 1 : 0;
  }
};

}  // namespace

void sample_tokens(Context& context, const SampleTokens& args) {
  check_shape("sample_tokens: samples", args.samples, {args.logits.rows()});
  FUNNEL_CHECK(args.logits.cols() >= 1, "sample_tokens: expected a vocabulary, found none");
  with_storage_type(args.logits.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, args.logits.rows(),
                 SampleTokensRow<T>{args.logits.as<T>(), args.logits.cols(), args.stream,
                                    args.first_row, args.samples.as<int32_t>()});
  });
}

void replace_tokens(Context& context, const ReplaceTokens& args) {
  check_shape("replace_tokens: samples", args.samples, args.rows.shape());
  if (args.targets) check_shape("replace_tokens: targets", args.targets, args.rows.shape());
  check_shape("replace_tokens: replaced_ids", args.replaced_ids, args.input_ids.shape());
  check_shape("replace_tokens: labels", args.labels, args.input_ids.shape());
  const int64_t tokens = args.input_ids.elements();
  check_indices("replace_tokens: position", args.rows, tokens, "a text");
  const int32_t* input_ids = args.input_ids.as<int32_t>();
  int32_t* replaced_ids = args.replaced_ids.as<int32_t>();
  uint8_t* labels = args.labels.as<uint8_t>();
  const uint8_t original_label = args.label_one_is_original ? 1 : 0;
  for_each(context, tokens, KeepTokenElement{input_ids, original_label, replaced_ids, labels});
  for_each(context, args.rows.elements(),
           ReplaceTokenElement{input_ids, args.rows.as<int32_t>(), args.samples.as<int32_t>(),
                               args.targets.as<int32_t>(), tokens, original_label, replaced_ids,
                               labels});
}

void count_labels(Context& context, ConstTensor labels, ConstTensor padded, uint8_t value,
                  Tensor counted) {
  check_shape("count_labels: padded", padded, labels.shape());
  check_shape("count_labels: counted", counted, labels.shape());
  for_each(
      context, labels.elements(),
      CountLabelElement{labels.as<uint8_t>(), padded.as<uint8_t>(), value, counted.as<uint8_t>()});
}

}  // namespace funnel
