// SPDX-License-Identifier: Apache-2.0
#include "data/masking.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "data/masking_spans.h"
#include "data/random_sequence.h"

namespace funnel {
namespace {

// Words have about so many tokens.
constexpr double kTokensPerWord = 1.2;

bool is_candidate(int32_t id, const SpecialIds& special) {
  return id != special.cls && id != special.sep && id != special.pad;
}

struct Budget {
  int64_t length;      // tokens in front of the padding
  int64_t candidates;  // of them, those that may be chosen
  int64_t wanted;      // of them, those that are chosen
};

Budget budget_of(const MaskingConfig& config, int64_t example, std::span<const int32_t> ids) {
  const SpecialIds& special = config.special;
  Budget budget{static_cast<int64_t>(ids.size()), 0, config.predictions};
  while (budget.length > 0 && ids[static_cast<size_t>(budget.length - 1)] == special.pad) {
    --budget.length;
  }
  budget.candidates = std::count_if(ids.begin(), ids.begin() + budget.length,
                                    [&](int32_t id) { return is_candidate(id, special); });
  if (budget.length < config.full_length) {
    const double share =
        static_cast<double>(budget.length) / static_cast<double>(config.full_length);
    const auto rounded = std::llround(share * static_cast<double>(config.predictions));
    budget.wanted = std::min<int64_t>(std::max<int64_t>(1, rounded), budget.candidates);
  }
  FUNNEL_CHECK_INPUT(budget.wanted >= 1 && budget.wanted <= budget.candidates,
                     "predictions: expected at most ", budget.candidates,
                     ", the tokens of example ", example, " that can be masked, found ",
                     config.predictions);
  return budget;
}

// Positions [begin, end) in the order in which they are to be chosen, as far as the strategy goes.
std::vector<MaskingRange> ranges_of(const MaskingConfig& config, const Budget& budget,
                                    std::span<const int32_t> ids, RandomSequence& random) {
  const double tokens_per_choice =
      static_cast<double>(budget.length) / static_cast<double>(budget.wanted);
  SpanDraw draw{.units = budget.length - 1,  // the last token is <sep>
                .count = budget.wanted,
                .chunk = std::max(1.0, tokens_per_choice),
                .min_length = config.min_span,
                .max_length = config.max_span};
  if (config.strategy == MaskingStrategy::token_span) return draw_spans(draw, random);

  const std::vector<MaskingRange> words = words_of(ids, config.special, config.word_starts);
  const auto word_count = static_cast<int64_t>(words.size());
  std::vector<MaskingRange> ranges;
  if (config.strategy == MaskingStrategy::whole_word) {
    std::vector<int64_t> order(words.size());
    random.permute(order.data(), word_count);
    for (int64_t word : order) ranges.push_back(words[static_cast<size_t>(word)]);
    return ranges;
  }
  draw.units = word_count;
  draw.chunk = std::max(1.0, tokens_per_choice / kTokensPerWord);
  for (const MaskingRange& span : draw_spans(draw, random)) {
    ranges.push_back({words[static_cast<size_t>(span.begin)].begin,
                      words[static_cast<size_t>(span.end - 1)].end});
  }
  return ranges;
}

// Marks the tokens of the ranges until `wanted` are marked; gives how many are missing.
int64_t mark(const std::vector<MaskingRange>& ranges, const SpecialIds& special,
             std::span<const int32_t> ids, int64_t wanted, std::vector<uint8_t>& chosen) {
  for (const MaskingRange& range : ranges) {
    for (int64_t i = range.begin; i < range.end && wanted > 0; ++i) {
      if (!is_candidate(ids[static_cast<size_t>(i)], special)) continue;
      chosen[static_cast<size_t>(i)] = 1;
      --wanted;
    }
  }
  return wanted;
}

// Fills `positions`, ascending.
void choose(const MaskingConfig& config, const Budget& budget, std::span<const int32_t> ids,
            RandomSequence& random, std::span<int32_t> positions) {
  std::vector<uint8_t> chosen;  // by a strategy other than single_token
  int64_t single = budget.wanted;
  if (config.strategy != MaskingStrategy::single_token) {
    chosen.assign(ids.size(), 0);
    single = mark(ranges_of(config, budget, ids, random), config.special, ids, single, chosen);
  }
  // Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): every subset
  // of the wanted size is equally likely.
  int64_t left = budget.candidates - (budget.wanted - single);
  size_t filled = 0;
  for (size_t i = 0; filled < positions.size(); ++i) {
    if (!is_candidate(ids[i], config.special)) continue;
    if (chosen.empty() || chosen[i] == 0) {
      if (random.below(left--) >= single) continue;
      --single;
    }
    positions[filled++] = static_cast<int32_t>(i);
  }
}

}  // namespace

void validate(const MaskingConfig& config) {
  FUNNEL_CHECK_INPUT(config.predictions >= 1, "predictions: expected at least 1, found ",
                     config.predictions);
  FUNNEL_CHECK_INPUT(config.leak_ratio >= 0 && config.rand_ratio >= 0 &&
                         config.leak_ratio + config.rand_ratio <= 1,
                     "leak_ratio and rand_ratio: expected at least 0 each and at most 1 together, "
                     "found ",
                     config.leak_ratio, " and ", config.rand_ratio);
  FUNNEL_CHECK_INPUT(config.min_span >= 1 && config.max_span >= config.min_span,
                     "min_span and max_span: expected 1 <= min_span <= max_span, found ",
                     config.min_span, " and ", config.max_span);
}

int64_t mask_example(const MaskingConfig& config, int64_t epoch, int64_t example,
                     std::span<const int32_t> ids, const MaskedExample& out) {
  const Budget budget = budget_of(config, example, ids);
  RandomSequence choice(RandomStream(config.seed, Site("masking") / example, epoch));
  RandomSequence corruption(RandomStream(config.seed, Site("corruption") / example, epoch));
  const auto wanted = static_cast<size_t>(budget.wanted);
  choose(config, budget, ids, choice, out.positions.first(wanted));
  std::copy(ids.begin(), ids.end(), out.ids.begin());
  for (size_t slot = 0; slot < wanted; ++slot) {
    const auto i = static_cast<size_t>(out.positions[slot]);
    out.targets[slot] = ids[i];
    const double u = uniform01(corruption.word());
    const auto random_id = static_cast<int32_t>(corruption.below(config.vocab));
    if (u < config.leak_ratio) continue;
    out.ids[i] = u < config.leak_ratio + config.rand_ratio ? random_id : config.special.mask;
  }
  for (size_t slot = wanted; slot < out.positions.size(); ++slot) {
    out.positions[slot] = static_cast<int32_t>(budget.length) + static_cast<int32_t>(slot - wanted);
    out.targets[slot] = kNoTarget;
  }
  return budget.wanted;
}

}  // namespace funnel
