// SPDX-License-Identifier: Apache-2.0
// Text to ids: words by BERT's rules (tokenizer_words.h), then WordPiece: the longest piece of the
// vocabulary that begins the word, then the longest "##" piece that continues it, and so on. A word
// with a rest that no piece matches, or with too many characters, is one <unk>.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_words.h"
#include "data/vocabulary.h"

namespace funnel {

struct TokenizerConfig {
  bool lower_case = true;
  int64_t max_word_chars = 100;  // code points; longer words are <unk>
  friend bool operator==(const TokenizerConfig&, const TokenizerConfig&) = default;
};

// Keeps a reference to the vocabulary. Not for use by two threads at once: it remembers words.
class Tokenizer {
 public:
  Tokenizer(const Vocabulary& vocabulary, TokenizerConfig config);

  // Appends the text's ids to `ids`; returns how many. Throws an input error naming the place and
  // the byte's offset when the text is not UTF-8.
  int64_t encode(std::string_view text, const TextPlace& place, std::vector<int32_t>& ids);

  // Appends the ids of one word, as split_words() gives it.
  void encode_word(std::string_view word, std::vector<int32_t>& ids);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TokenizerConfig& config() const { return config_; }

 private:
  struct RememberedWord {
    std::string word;
    std::vector<int32_t> ids;
  };
  void match_pieces(std::string_view word, std::vector<int32_t>& ids);

  const Vocabulary& vocabulary_;
  TokenizerConfig config_;
  size_t longest_piece_ = 0;  // bytes, "##" included
  Words words_;
  std::string continued_;                   // "##" and the rest of a word
  std::vector<RememberedWord> remembered_;  // by hash; a newcomer replaces what is in its place
};

// The pieces of ids as text: "##" joins, all others are set apart by spaces.
std::string decode(const Vocabulary& vocabulary, const int32_t* ids, int64_t count);

}  // namespace funnel
