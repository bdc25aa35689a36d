// SPDX-License-Identifier: Apache-2.0
// Text to words by BERT's rules, the same as those of huggingface/tokenizers' BertNormalizer and
// BertPreTokenizer: control characters dropped; white space made a border; CJK ideographs set
// apart; canonical decomposition (NFD) and accents (Mn) dropped, where the rules say so; every code
// point lower-cased by itself (so the Greek final sigma stays a sigma), where they say so; every
// punctuation character a word of its own.
//
// Runs of ASCII are classified in blocks with SIMD; other code points go through a table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "data/tokenizer_characters.h"

namespace funnel {

// Where a text stands, for errors.
struct TextPlace {
  std::string_view file;
  int64_t line = 0;  // from 1
};

// The words of a text, reusable.
class Words {
 public:
  // So many bytes after a word's begin may be read, whatever its length.
  static constexpr size_t kReadable = 64;

  size_t size() const { return size_; }
  std::string_view operator[](size_t i) const {
    return {bytes_.data() + begins_[i], ends_[i] - begins_[i]};
  }

 private:
  friend class WordSplitter;
  std::vector<char> bytes_;       // the text after normalisation
  std::vector<uint32_t> begins_;  // of words in it
  std::vector<uint32_t> ends_;
  size_t size_ = 0;
};

bool is_utf8(std::string_view text);

// Code points of UTF-8 text.
inline int64_t utf8_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

class WordSplitter {
 public:
  explicit WordSplitter(WordRules rules) : rules_(rules), characters_(rules) {}

  // Splits UTF-8 text; overwrites `words`. Throws an input error naming the place and the byte's
  // offset in the text when it is not UTF-8, and when it has more than a gigabyte.
  void split(std::string_view text, const TextPlace& place, Words& words) const;

 private:
  WordRules rules_;
  CharacterTable characters_;
};

}  // namespace funnel
