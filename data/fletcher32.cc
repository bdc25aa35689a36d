// SPDX-License-Identifier: Apache-2.0
#include "data/fletcher32.h"

#include <cstring>

namespace funnel {
namespace {

constexpr uint32_t kModulus = 65535;
// Words are summed in so many columns side by side, which the compiler turns into SIMD; with so
// many rows in a row 32 bits cannot overflow, whatever the words are.
constexpr size_t kColumns = 16;
constexpr size_t kRows = 256;
constexpr size_t kBlock = kRows * kColumns;

struct Sums {
  uint64_t words = 0;
  uint64_t sums = 0;  // of the sums up to each word
};

uint32_t word_at(const char* bytes) {
  uint16_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return static_cast<uint16_t>(word << 8 | word >> 8);
}

// Of kBlock words. A word in row r and column c counts in kBlock - (r kColumns + c) sums, which is
// kColumns (kRows - r) - c.
Sums sums_of_block(const char* bytes) {
  uint32_t words[kColumns] = {}, sums[kColumns] = {};
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t column = 0; column < kColumns; ++column) {
      words[column] += word_at(bytes + 2 * (row * kColumns + column));
      sums[column] += words[column];
    }
  }
  Sums all;
  for (size_t column = 0; column < kColumns; ++column) {
    all.words += words[column];
    all.sums += kColumns * uint64_t{sums[column]} - column * uint64_t{words[column]};
  }
  return all;
}

// 0 stands for no data at all; otherwise multiples of the modulus read 65535, as folding the carry
// back in leaves them.
uint32_t residue(uint64_t sum) {
  return sum == 0 ? 0 : static_cast<uint32_t>((sum - 1) % kModulus + 1);
}

}  // namespace

uint32_t fletcher32(std::span<const char> bytes) {
  const size_t words = bytes.size() / 2;
  uint64_t sum = 0, sum_of_sums = 0;
  size_t at = 0;
  for (; at + kBlock <= words; at += kBlock) {
    const Sums block = sums_of_block(bytes.data() + 2 * at);
    sum_of_sums = residue(sum_of_sums + kBlock * sum + block.sums);
    sum = residue(sum + block.words);
  }
  for (; at < words; ++at) {
    sum += word_at(bytes.data() + 2 * at);
    sum_of_sums += sum;
  }
  sum = residue(sum);
  sum_of_sums = residue(sum_of_sums);
  if (bytes.size() % 2 != 0) {
    sum = residue(sum + (uint64_t{static_cast<unsigned char>(bytes.back())} << 8));
    sum_of_sums = residue(sum_of_sums + sum);
  }
  return static_cast<uint32_t>(sum_of_sums << 16 | sum);
}

}  // namespace funnel
