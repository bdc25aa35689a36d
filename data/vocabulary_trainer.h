// SPDX-License-Identifier: Apache-2.0
// Makes a WordPiece vocabulary of counted words by byte-pair merges, as huggingface/tokenizers'
// WordPieceTrainer does: start from single characters (with "##" where they continue a word), then
// join the most frequent pair of neighbours until the size is reached. The result depends on the
// word counts alone: ties go to the pair of smaller ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer_words.h"

namespace funnel {

struct VocabularyTrainerConfig {
  int64_t size = 8192;            // pieces, special ones included
  int64_t min_frequency = 2;      // a pair seen less often is not joined
  int64_t max_characters = 1000;  // only the most frequent characters get pieces
  int64_t max_word_chars = 100;   // longer words are not counted
  bool lower_case = true;
};

class VocabularyTrainer {
 public:
  explicit VocabularyTrainer(VocabularyTrainerConfig config);

  // Counts the words of a text. Throws an input error naming the place when it is not UTF-8.
  void add(std::string_view text, const TextPlace& place);

  int64_t distinct_words() const { return static_cast<int64_t>(counts_.size()); }

  // The pieces in the order of their ids: the special ones, single characters by code point, then
  // merges; fewer than `size` when the text gives no more. Throws an input error when `size` does
  // not even hold the characters.
  std::vector<std::string> train() const;

 private:
  VocabularyTrainerConfig config_;
  WordSplitter splitter_;
  Words words_;
  std::unordered_map<std::string, int64_t> counts_;
};

}  // namespace funnel
