// SPDX-License-Identifier: Apache-2.0
// Which tokens the model must guess, and what it sees in their place: a pure function of (seed,
// epoch, example). The four strategies are those of laiguokun/Funnel-Transformer
// (tensorflow/input_func_builder.py). Each chosen token is kept with probability leak_ratio,
// becomes any id of the vocabulary with rand_ratio, else <mask>.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/types.h"
#include "data/vocabulary.h"

namespace funnel {

// All choose among the tokens other than <cls>, <sep> and <pad>, and cut what goes beyond the
// budget, so that at most one word or span is taken in part; what a strategy leaves open goes to
// single tokens.
enum class MaskingStrategy {
  single_token,  // uniform without replacement
  whole_word,    // words in random order
  token_span,    // spans of min_span to max_span tokens, see draw_spans()
  word_span,     // spans of min_span to max_span words
};

struct MaskingConfig {
  uint64_t seed = 0;
  int64_t predictions = 85;
  MaskingStrategy strategy = MaskingStrategy::single_token;
  int64_t min_span = 1;
  int64_t max_span = 5;
  double leak_ratio = 0.1;
  double rand_ratio = 0.1;
  int64_t vocab = 0;
  SpecialIds special;
  // Tokens of an example, special ones included, that has all `predictions`. A shorter one has its
  // share of them, rounded, at least one.
  int64_t full_length = 0;
  std::span<const uint8_t> word_starts = {};  // [vocab], for the strategies with words
};

// Throws an input error when a field is out of range.
void validate(const MaskingConfig& config);

// What mask_example() overwrites. Where an example has fewer predictions, the last positions are
// those behind its last token, and their targets kNoTarget.
struct MaskedExample {
  std::span<int32_t> ids;        // [seq_len] what the model sees
  std::span<int32_t> positions;  // [predictions] ascending
  std::span<int32_t> targets;    // [predictions] the tokens that were there
};

// Masks `ids`, whose <pad> come last; gives the number of predictions. Throws an input error when
// an example of full length has too few tokens to choose from.
int64_t mask_example(const MaskingConfig& config, int64_t epoch, int64_t example,
                     std::span<const int32_t> ids, const MaskedExample& out);

}  // namespace funnel
