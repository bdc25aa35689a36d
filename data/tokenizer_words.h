// SPDX-License-Identifier: Apache-2.0
// Text to words by BERT's rules, the same as those of huggingface/tokenizers' BertNormalizer and
// BertPreTokenizer: control characters dropped; white space made a border; CJK ideographs set
// apart; for lower-case vocabularies canonical decomposition (NFD), accents (Mn) dropped and every
// code point lower-cased by itself (so the Greek final sigma stays a sigma); every punctuation
// character a word of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace funnel {

// Where a text stands, for errors.
struct TextPlace {
  std::string_view file;
  int64_t line = 0;  // from 1
};

// The words of a text, reusable: one string, and where each word ends in it.
class Words {
 public:
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  void clear() {
    bytes_.clear();
    ends_.clear();
  }

  void add(char byte) { bytes_ += byte; }
  void add_code_point(int32_t code_point);
  // Closes a word if there is one.
  void border() {
    if (bytes_.size() > (ends_.empty() ? 0 : ends_.back())) ends_.push_back(bytes_.size());
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

// Splits UTF-8 text; overwrites `words`. Throws an input error naming the place and the byte's
// offset in the text when it is not UTF-8.
void split_words(std::string_view text, bool lower_case, const TextPlace& place, Words& words);

}  // namespace funnel
