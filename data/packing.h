// SPDX-License-Identifier: Apache-2.0
// Packs tokenised documents into training examples the way laiguokun/Funnel-Transformer
// (tensorflow/create_pretrain_data.py) does: [CLS] A [SEP] B [SEP], always exactly full. Documents
// are shuffled and joined into one array; from a cursor, A ends at a random sentence border and B
// is either what follows or, with probability one half, a random place in the array; then both are
// trimmed to fit. Pairs may cross document borders.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/vocabulary.h"

namespace funnel {

// Documents of one group, tokenised. A group is packed as a whole.
class TokenizedDocuments {
 public:
  // Adds a sentence to the open document; an empty one is no sentence.
  void add_sentence(std::span<const int32_t> ids);
  // Closes the open document; one without sentences vanishes.
  void end_document();
  void clear();

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t documents() const { return static_cast<int64_t>(document_ends_.size()); }
  int64_t sentences() const { return static_cast<int64_t>(sentence_ends_.size()); }

 private:
  friend class JoinedDocuments;
  std::vector<int32_t> ids_;
  std::vector<int64_t> sentence_ends_;  // positions in ids_
  std::vector<int64_t> document_ends_;  // positions in sentence_ends_
};

struct PackingConfig {
  int64_t seq_len = 512;
  SpecialIds special;
  uint64_t seed = 0;
};

// Receives an example: `ids` [seq_len], valid during the call; A has ids[1 .. segment_a_length].
using TakeExample = std::function<void(std::span<const int32_t> ids, int64_t segment_a_length)>;

// Packs a group once. The examples are a pure function of (documents, config, group, pass). What
// is left at the end, at most about seq_len tokens, is not used.
void pack(const TokenizedDocuments& documents, const PackingConfig& config, int64_t group,
          int64_t pass, const TakeExample& take);

}  // namespace funnel
