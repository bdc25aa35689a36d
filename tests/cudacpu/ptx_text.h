// SPDX-License-Identifier: Apache-2.0
// PTX text as a sequence of tokens. Comments and white space are skipped; an opcode with its
// suffixes ("ld.global.v4.f32"), a special register ("%tid.x") or a label is one word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace funnel::cudacpu {

struct PtxToken {
  enum class Kind { word, number, text, mark, end };
  Kind kind = Kind::end;
  std::string_view text;  // a mark is one character
  // Numbers: the bits; 0f… and 0d… literals give those of an f32 or f64 and set `float_width`.
  uint64_t bits = 0;
  int float_width = 0;

  bool is(std::string_view expected) const { return text == expected && kind != Kind::text; }
};

class PtxText {
 public:
  explicit PtxText(std::string_view text) : text_(text) {}

  const PtxToken& peek();
  PtxToken next();
  bool accept(std::string_view expected);  // takes the next token if it is this one
  void expect(std::string_view expected);  // throws Fault of kind unsupported otherwise
  // The next token, which must be a word, or a number.
  std::string_view word();
  int64_t integer();
  // Drops the rest of the current line, or everything to the end of a {…} block.
  void skip_line();
  std::string_view take_braces();

  size_t position() const { return have_ ? token_at_ : at_; }
  std::string_view between(size_t begin, size_t end) const {
    return text_.substr(begin, end - begin);
  }

 private:
  void skip_space();
  PtxToken scan();
  PtxToken scan_number();

  std::string_view text_;
  size_t at_ = 0;
  size_t token_at_ = 0;  // where the token peeked at begins
  bool have_ = false;
  PtxToken token_;
};

}  // namespace funnel::cudacpu
