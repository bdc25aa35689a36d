// SPDX-License-Identifier: Apache-2.0
// What becomes of every single code point beyond ASCII or invisible when text is split into words,
// by the same tables as huggingface/tokenizers' (tokenizer_ranges.h), for one set of rules.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace funnel {

struct WordRules {
  bool lower_case = true;
  bool strip_accents = true;  // canonical decomposition (NFD), then no accents (Mn)
  friend bool operator==(const WordRules&, const WordRules&) = default;
};

enum class CharacterKind : uint8_t {
  letter,       // part of a word, as `code_point`
  alone,        // `code_point` is a word of its own: punctuation, ideograph
  space,        // ends a word
  nothing,      // leaves no trace
  accent_base,  // nothing is written, but the marks after it are not ordered with those before
  mark,         // a letter that is ordered among its like by combining_class()
  several,      // parts() one after another
};

struct Character {
  CharacterKind kind;
  int32_t code_point;
};

class CharacterTable {
 public:
  explicit CharacterTable(WordRules rules);

  // The code point is in [0, 0x110000).
  Character operator[](int32_t code_point) const {
    const uint32_t entry = pages_[page_of_[code_point >> 8]][code_point & 255];
    return {static_cast<CharacterKind>(entry >> 24),
            code_point + static_cast<int32_t>(entry << 8) / 256};
  }

  struct Parts {
    std::array<int32_t, 8> code_points;
    int count;
  };
  // The canonical decomposition of a code point.
  static Parts parts(int32_t code_point);
  static int combining_class(int32_t mark);

 private:
  using Page = std::array<uint32_t, 256>;  // kind << 24 | distance modulo 2^24
  std::array<uint16_t, 0x1100> page_of_;
  std::vector<Page> pages_;  // distinct ones
};

}  // namespace funnel
