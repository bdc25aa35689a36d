// SPDX-License-Identifier: Apache-2.0
// One function for each way to pack, see packing.h; and the row that they fill.
#pragma once

#include <vector>

#include "data/packing.h"

namespace funnel {

// An example in the making.
class PackingRow {
 public:
  explicit PackingRow(const PackingConfig& config);

  // Tokens after [CLS] so far.
  int64_t used() const { return used_; }
  void add(std::span<const int32_t> ids);
  void add(int32_t id) { add({&id, 1}); }

  // Pads, hands the example over and begins the next.
  void finish(int64_t segment_a_length, const TakeExample& take);

 private:
  std::vector<int32_t> ids_;
  int32_t pad_;
  int64_t used_ = 0;
};

void pack_segment_pairs(const JoinedDocuments& text, const PackingConfig& config,
                        RandomSequence& random, const TakeExample& take);
void pack_sentences(const JoinedDocuments& text, const PackingConfig& config,
                    const TakeExample& take);
void pack_electra(const JoinedDocuments& text, const PackingConfig& config, RandomSequence& random,
                  const TakeExample& take);

}  // namespace funnel
