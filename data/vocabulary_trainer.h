// SPDX-License-Identifier: Apache-2.0
// Makes a WordPiece vocabulary of counted words by byte-pair merges, with the result of
// huggingface/tokenizers' WordPieceTrainer: start from single characters (with "##" where they
// continue a word), then join the most frequent pair of neighbours until the size is reached. Ties
// go to the pair of smaller ids. There the ids of characters that continue words, and so the ties,
// depend on a hash table; here characters go by code point, so that the result depends on the
// counts alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/word_counter.h"

namespace funnel {

struct VocabularyTrainerConfig {
  int64_t size = 8192;            // pieces, special ones included
  int64_t min_frequency = 2;      // a pair seen less often is not joined
  int64_t max_characters = 1000;  // only the most frequent characters get pieces
};

// The pieces in the order of their ids: the special ones, single characters by code point, those
// that continue words by code point, then merges; fewer than `size` when the words give no more.
// Throws an input error when `size` does not even hold the characters.
std::vector<std::string> train_vocabulary(const CountedWords& words,
                                          const VocabularyTrainerConfig& config);

}  // namespace funnel
