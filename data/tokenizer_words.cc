// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_words.h"

#include <utf8proc.h>

#include <array>

#include "core/base/error.h"

namespace funnel {
namespace {

enum class Kind : uint8_t { letter, space, punctuation, dropped };

constexpr bool is_ascii_punctuation(int c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}

constexpr std::array<Kind, 128> ascii_kinds() {
  std::array<Kind, 128> kinds{};
  for (int c = 0; c < 128; ++c) {
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    kinds[c] = is_space                  ? Kind::space
               : c < 32 || c == 127      ? Kind::dropped
               : is_ascii_punctuation(c) ? Kind::punctuation
                                         : Kind::letter;
  }
  return kinds;
}

constexpr std::array<Kind, 128> kAscii = ascii_kinds();

// The eight blocks that BERT treats as words of one character.
bool is_cjk_ideograph(int32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

Kind kind_of(int32_t c) {
  if (c < 128) return kAscii[static_cast<size_t>(c)];
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Kind::space;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
      return Kind::dropped;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return Kind::punctuation;
    default:
      return c == 0xFFFD ? Kind::dropped : Kind::letter;
  }
}

void add_letter_or_punctuation(int32_t c, Words& words) {
  const bool alone = kind_of(c) == Kind::punctuation;
  if (alone) words.border();
  words.add_code_point(c);
  if (alone) words.border();
}

// A code point beyond ASCII.
void add_other(int32_t c, bool lower_case, Words& words) {
  const Kind kind = kind_of(c);
  if (kind == Kind::dropped) return;
  if (kind == Kind::space) {
    words.border();
    return;
  }
  const bool alone = is_cjk_ideograph(c);
  if (alone) words.border();
  if (lower_case) {
    // The longest canonical decomposition has four code points.
    std::array<utf8proc_int32_t, 8> parts;
    int boundary_class = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(c, parts.data(), parts.size(), UTF8PROC_DECOMPOSE, &boundary_class);
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      if (utf8proc_category(parts[i]) == UTF8PROC_CATEGORY_MN) continue;
      add_letter_or_punctuation(utf8proc_tolower(parts[i]), words);
    }
  } else {
    add_letter_or_punctuation(c, words);
  }
  if (alone) words.border();
}

}  // namespace

void Words::add_code_point(int32_t code_point) {
  if (code_point < 128) {
    add(static_cast<char>(code_point));
    return;
  }
  std::array<utf8proc_uint8_t, 4> bytes;
  const utf8proc_ssize_t count = utf8proc_encode_char(code_point, bytes.data());
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(count));
}

void split_words(std::string_view text, bool lower_case, const TextPlace& place, Words& words) {
  words.clear();
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t at = 0; at < size;) {
    const unsigned char c = bytes[at];
    if (c >= 128) {
      utf8proc_int32_t code_point = 0;
      const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &code_point);
      FUNNEL_CHECK_INPUT(length > 0, place.file, ":", place.line,
                         ": expected UTF-8, found other bytes at offset ", at, " of the line");
      add_other(code_point, lower_case, words);
      at += length;
      continue;
    }
    ++at;
    switch (kAscii[c]) {
      case Kind::letter:
        words.add(lower_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32)
                                                     : static_cast<char>(c));
        break;
      case Kind::space:
        words.border();
        break;
      case Kind::punctuation:
        words.border();
        words.add(static_cast<char>(c));
        words.border();
        break;
      case Kind::dropped:
        break;
    }
  }
  words.border();
}

}  // namespace funnel
