// SPDX-License-Identifier: Apache-2.0
// Sixty-four bytes of text at a time: which are ASCII letters and digits, which ASCII punctuation,
// and which are neither these nor white space.
#pragma once

#include <array>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace funnel {

inline constexpr int kAsciiBlock = 64;

// Bit i speaks of byte i.
struct AsciiMasks {
  uint64_t letters;
  uint64_t punctuation;
  uint64_t others;  // control characters, which text loses, and bytes of other code points
};

constexpr bool is_ascii_punctuation(int c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
         (c >= 123 && c <= 126);
}
constexpr bool is_ascii_space(int c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
constexpr bool is_ascii_letter(int c) {
  return c > 32 && c < 127 && !is_ascii_punctuation(c);
}

// Classifies kAsciiBlock bytes with plain loops, and writes them lower-cased or as they are.
inline AsciiMasks ascii_masks_portable(const char* text, bool lower_case, char* out) {
  AsciiMasks masks{};
  for (int i = 0; i < kAsciiBlock; ++i) {
    const int c = static_cast<unsigned char>(text[i]);
    const uint64_t bit = uint64_t{1} << i;
    if (is_ascii_letter(c)) {
      masks.letters |= bit;
    } else if (is_ascii_punctuation(c)) {
      masks.punctuation |= bit;
    } else if (!is_ascii_space(c)) {
      masks.others |= bit;
    }
    out[i] = static_cast<char>(lower_case && c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  return masks;
}

#if defined(__AVX2__)

namespace detail {

// A table for _mm256_shuffle_epi8, which looks up in each half by itself.
inline __m256i both_halves(const std::array<char, 16>& table) {
  return _mm256_broadcastsi128_si256(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data())));
}

// A byte's two halves each say which groups it may be in; it is in those that both name. Bits 0-2
// are groups of letters, the others of punctuation.
struct Nibbles {
  std::array<char, 16> low{}, high{};
};

constexpr Nibbles ascii_nibbles() {
  Nibbles nibbles;
  // The group of each run of neighbours within a row of sixteen characters; rows 4 and 6, and 5 and
  // 7, have their letters at the same places.
  constexpr int letter_group[8] = {-1, -1, -1, 0, 1, 2, 1, 2};
  constexpr int punctuation_group[8] = {-1, -1, 3, 4, 5, 6, 5, 7};
  for (int row = 2; row < 8; ++row) {
    for (int column = 0; column < 16; ++column) {
      const int c = 16 * row + column;
      const int group = is_ascii_letter(c)        ? letter_group[row]
                        : is_ascii_punctuation(c) ? punctuation_group[row]
                                                  : -1;
      if (group < 0) continue;
      nibbles.low[column] = static_cast<char>(nibbles.low[column] | 1 << group);
      nibbles.high[row] = static_cast<char>(nibbles.high[row] | 1 << group);
    }
  }
  return nibbles;
}

struct HalfMasks {
  uint32_t letters, punctuation, others;
};

inline HalfMasks ascii_masks_of_32(const char* text, bool lower_case, char* out) {
  static constexpr Nibbles kNibbles = ascii_nibbles();
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
  // A byte beyond ASCII has its highest bit set, for which the shuffle gives 0: no group.
  const __m256i groups = _mm256_and_si256(_mm256_shuffle_epi8(both_halves(kNibbles.low), bytes),
                                          _mm256_shuffle_epi8(both_halves(kNibbles.high), high));
  const __m256i none = _mm256_setzero_si256();
  const __m256i no_letter = _mm256_cmpeq_epi8(_mm256_and_si256(groups, _mm256_set1_epi8(7)), none);
  const auto in_no_group =
      static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(groups, none)));
  const auto equals = [&](char c) { return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c)); };
  const auto spaces = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(
      _mm256_or_si256(equals(' '), equals('\n')), _mm256_or_si256(equals('\t'), equals('\r')))));
  const auto letters = ~static_cast<uint32_t>(_mm256_movemask_epi8(no_letter));
  // Comparisons are signed, so that bytes beyond ASCII are below 'A'.
  const __m256i is_upper = _mm256_and_si256(_mm256_cmpgt_epi8(bytes, _mm256_set1_epi8('A' - 1)),
                                            _mm256_cmpgt_epi8(_mm256_set1_epi8('Z' + 1), bytes));
  const __m256i change =
      _mm256_and_si256(is_upper, _mm256_set1_epi8(static_cast<char>(lower_case ? 32 : 0)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi8(bytes, change));
  return {letters, ~letters & ~in_no_group, in_no_group & ~spaces};
}

}  // namespace detail

// The same with AVX2.
inline AsciiMasks ascii_masks(const char* text, bool lower_case, char* out) {
  const detail::HalfMasks low = detail::ascii_masks_of_32(text, lower_case, out);
  const detail::HalfMasks high = detail::ascii_masks_of_32(text + 32, lower_case, out + 32);
  const auto join = [](uint32_t a, uint32_t b) { return a | uint64_t{b} << 32; };
  return {join(low.letters, high.letters), join(low.punctuation, high.punctuation),
          join(low.others, high.others)};
}

#else

inline AsciiMasks ascii_masks(const char* text, bool lower_case, char* out) {
  return ascii_masks_portable(text, lower_case, out);
}

#endif

}  // namespace funnel
