// SPDX-License-Identifier: Apache-2.0
// Text to ids: words by BERT's rules (tokenizer_words.h), then WordPiece: the longest piece of the
// vocabulary that begins the word, then the longest "##" piece that continues it, and so on. A word
// with a rest that no piece matches, or with too many characters, is one <unk>.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_matcher.h"
#include "data/tokenizer_words.h"
#include "data/vocabulary.h"

namespace funnel {

struct TokenizerConfig {
  bool lower_case = true;
  bool strip_accents = true;     // decompose characters, and drop their accents
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

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TokenizerConfig& config() const { return config_; }

 private:
  // A word of at most 16 bytes, filled up with zeros, which no word contains.
  struct Key {
    uint64_t low = 0, high = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  static constexpr int32_t kRememberedIds = 3;
  // Half a cache line.
  struct alignas(32) RememberedWord {
    Key word;
    int32_t ids[kRememberedIds] = {};
    int32_t count = 0;
  };

  static Key key_of(std::string_view word);
  // Both write the ids of one word and return how many; the array has room for one a byte, and for
  // kRememberedIds.
  int64_t append(std::string_view word, int32_t* ids);
  int64_t match(std::string_view word, int32_t* ids) const;

  const Vocabulary& vocabulary_;
  TokenizerConfig config_;
  WordSplitter splitter_;
  PieceMatcher matcher_;
  Words words_;
  std::vector<int32_t> found_;              // ids of the text
  std::vector<RememberedWord> remembered_;  // by hash; a newcomer replaces what is in its place
};

}  // namespace funnel
