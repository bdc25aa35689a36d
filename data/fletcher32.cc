// SPDX-License-Identifier: Apache-2.0
#include "data/fletcher32.h"

#include <algorithm>

namespace funnel {
namespace {

constexpr uint32_t kModulus = 65535;
// So many words in a row cannot overflow 64 bits, whatever they are.
constexpr size_t kWords = size_t{1} << 20;

// 0 stands for no data at all; otherwise multiples of the modulus read 65535, as folding the carry
// back in leaves them.
uint32_t residue(uint64_t sum) {
  return sum == 0 ? 0 : static_cast<uint32_t>((sum - 1) % kModulus + 1);
}

}  // namespace

uint32_t fletcher32(std::span<const char> bytes) {
  const auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(bytes[i])}; };
  const size_t words = bytes.size() / 2;
  uint64_t sum = 0, sum_of_sums = 0;
  for (size_t begin = 0; begin < words; begin += kWords) {
    const size_t end = std::min(words, begin + kWords);
    for (size_t i = begin; i < end; ++i) {
      sum += byte(2 * i) << 8 | byte(2 * i + 1);
      sum_of_sums += sum;
    }
    sum = residue(sum);
    sum_of_sums = residue(sum_of_sums);
  }
  if (bytes.size() % 2 != 0) {
    sum = residue(sum + (byte(bytes.size() - 1) << 8));
    sum_of_sums = residue(sum_of_sums + sum);
  }
  return static_cast<uint32_t>(sum_of_sums << 16 | sum);
}

}  // namespace funnel
