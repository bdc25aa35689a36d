// SPDX-License-Identifier: Apache-2.0
// Which tokens the model must guess, and what it sees in their place: a pure function of (seed,
// epoch, example). Strategy "single_token" of laiguokun/Funnel-Transformer: exactly `predictions`
// positions, uniform without replacement among the tokens other than <cls>, <sep> and <pad>; each
// is kept with probability leak_ratio, becomes any id of the vocabulary with rand_ratio, else
// <mask>.
#pragma once

#include <cstdint>
#include <span>

#include "data/vocabulary.h"

namespace funnel {

struct MaskingConfig {
  uint64_t seed = 0;
  int64_t predictions = 85;
  double leak_ratio = 0.1;
  double rand_ratio = 0.1;
  int64_t vocab = 0;
  SpecialIds special;
};

// Throws an input error when a field is out of range.
void validate(const MaskingConfig& config);

// What mask_example() overwrites.
struct MaskedExample {
  std::span<int32_t> ids;        // [seq_len] what the model sees
  std::span<int32_t> positions;  // [predictions] ascending
  std::span<int32_t> targets;    // [predictions] the tokens that were there
};

// Throws an input error when `ids` has fewer than `predictions` candidates.
void mask_example(const MaskingConfig& config, int64_t epoch, int64_t example,
                  std::span<const int32_t> ids, const MaskedExample& out);

}  // namespace funnel
