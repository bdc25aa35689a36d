// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/packing_modes.h"

namespace funnel {

PackingRow::PackingRow(const PackingConfig& config)
    : ids_(static_cast<size_t>(config.seq_len), config.special.pad), pad_(config.special.pad) {
  ids_[0] = config.special.cls;
}

void PackingRow::add(std::span<const int32_t> ids) {
  std::copy(ids.begin(), ids.end(), ids_.begin() + 1 + used_);
  used_ += static_cast<int64_t>(ids.size());
}

void PackingRow::finish(int64_t segment_a_length, const TakeExample& take) {
  std::fill(ids_.begin() + 1 + used_, ids_.end(), pad_);
  used_ = 0;
  take(ids_, segment_a_length);
}

void pack(const TokenizedDocuments& documents, const PackingConfig& config, int64_t group,
          int64_t pass, const TakeExample& take) {
  FUNNEL_CHECK_INPUT(config.seq_len >= 8, "seq_len: expected at least 8, found ", config.seq_len);
  FUNNEL_CHECK(documents.tokens() < int64_t{1} << 32,
               "packing: a group holds fewer than 2^32 tokens");
  RandomSequence random(RandomStream(config.seed, Site("packing") / group, pass));
  const JoinedDocuments text(documents, random);
  switch (config.mode) {
    case PackingMode::segment_pairs:
      return pack_segment_pairs(text, config, random, take);
    case PackingMode::sentences:
      return pack_sentences(text, config, take);
    case PackingMode::electra:
      return pack_electra(text, config, random, take);
    case PackingMode::imported:
      FUNNEL_CHECK(false, "packing: imported examples are not packed");
  }
}

}  // namespace funnel
