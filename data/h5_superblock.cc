// SPDX-License-Identifier: Apache-2.0
#include "data/h5_superblock.h"

#include <bit>
#include <cstring>

namespace funnel {
namespace {

constexpr size_t kChecksumOffset = 44;
constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";

struct State {
  uint32_t a, b, c;

  void mix() {
    const auto round = [](uint32_t& x, uint32_t& y, uint32_t& z, int shift) {
      x = (x - z) ^ std::rotl(z, shift);
      z += y;
    };
    round(a, b, c, 4);
    round(b, c, a, 6);
    round(c, a, b, 8);
    round(a, b, c, 16);
    round(b, c, a, 19);
    round(c, a, b, 4);
  }

  void finish() {
    const auto round = [](uint32_t& x, uint32_t y, int shift) {
      x = (x ^ y) - std::rotl(y, shift);
    };
    round(c, b, 14);
    round(a, c, 11);
    round(b, a, 25);
    round(c, b, 16);
    round(a, c, 4);
    round(b, a, 14);
    round(c, b, 24);
  }

  // Adds up to twelve bytes, read as little-endian words.
  void add(std::span<const char> bytes) {
    uint32_t word[3] = {};
    for (size_t i = 0; i < bytes.size(); ++i) {
      word[i / 4] |= uint32_t{static_cast<unsigned char>(bytes[i])} << 8 * (i % 4);
    }
    a += word[0];
    b += word[1];
    c += word[2];
  }
};

}  // namespace

uint32_t lookup3(std::span<const char> bytes) {
  const uint32_t start = 0xdeadbeef + static_cast<uint32_t>(bytes.size());
  State state{start, start, start};
  while (bytes.size() > 12) {
    state.add(bytes.first(12));
    state.mix();
    bytes = bytes.subspan(12);
  }
  if (bytes.empty()) return state.c;
  state.add(bytes);
  state.finish();
  return state.c;
}

void renew_superblock_checksum(std::span<char> image) {
  if (image.size() < kChecksumOffset + 4 || std::memcmp(image.data(), kSignature, 8) != 0) return;
  const int version = image[8], offset_bytes = image[9];
  if (version < 2 || version > 3 || offset_bytes != 8) return;
  const uint32_t checksum = lookup3(image.first(kChecksumOffset));
  for (size_t i = 0; i < 4; ++i) image[kChecksumOffset + i] = static_cast<char>(checksum >> 8 * i);
}

}  // namespace funnel
