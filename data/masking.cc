// SPDX-License-Identifier: Apache-2.0
#include "data/masking.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/random_sequence.h"

namespace funnel {

void validate(const MaskingConfig& config) {
  FUNNEL_CHECK_INPUT(config.predictions >= 1, "predictions: expected at least 1, found ",
                     config.predictions);
  FUNNEL_CHECK_INPUT(config.leak_ratio >= 0 && config.rand_ratio >= 0 &&
                         config.leak_ratio + config.rand_ratio <= 1,
                     "leak_ratio and rand_ratio: expected at least 0 each and at most 1 together, "
                     "found ",
                     config.leak_ratio, " and ", config.rand_ratio);
}

void mask_example(const MaskingConfig& config, int64_t epoch, int64_t example,
                  std::span<const int32_t> ids, const MaskedExample& out) {
  const SpecialIds& special = config.special;
  const auto is_candidate = [&](int32_t id) {
    return id != special.cls && id != special.sep && id != special.pad;
  };
  int64_t candidates = std::count_if(ids.begin(), ids.end(), is_candidate);
  int64_t wanted = config.predictions;
  FUNNEL_CHECK_INPUT(wanted <= candidates, "predictions: expected at most ", candidates,
                     ", the tokens of example ", example, " that can be masked, found ", wanted);
  std::copy(ids.begin(), ids.end(), out.ids.begin());
  RandomSequence choice(RandomStream(config.seed, Site("masking") / example, epoch));
  RandomSequence corruption(RandomStream(config.seed, Site("corruption") / example, epoch));
  // Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): every subset
  // of the wanted size is equally likely.
  for (size_t i = 0, filled = 0; wanted > 0; ++i) {
    if (!is_candidate(ids[i])) continue;
    if (choice.below(candidates--) >= wanted) continue;
    --wanted;
    out.positions[filled] = static_cast<int32_t>(i);
    out.targets[filled++] = ids[i];
    const double u = uniform01(corruption.word());
    const auto random_id = static_cast<int32_t>(corruption.below(config.vocab));
    if (u < config.leak_ratio) continue;
    out.ids[i] = u < config.leak_ratio + config.rand_ratio ? random_id : special.mask;
  }
}

}  // namespace funnel
