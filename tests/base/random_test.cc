// SPDX-License-Identifier: Apache-2.0
// Oracles: the known answers that Random123 publishes for Philox 4x32-10 (tests/kat_vectors), and
// the independence that sites, steps and seeds promise.
#include "core/base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <set>
#include <string>

namespace funnel {
namespace {

RandomBits philox(uint64_t key, uint64_t step, uint64_t index) {
  RandomStream stream;
  stream.key = key;
  stream.step = step;
  return stream.bits(index);
}

void expect_words(const RandomBits& bits, std::array<uint32_t, 4> expected) {
  for (int w = 0; w < 4; ++w) EXPECT_EQ(bits.word[w], expected[w]) << "word " << w;
}

TEST(Philox, KnownAnswers) {
  expect_words(philox(0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const uint64_t ones = ~uint64_t{0};
  expect_words(philox(ones, ones, ones), {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  expect_words(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
               {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(Site, PathsAreTold) {
  EXPECT_NE((Site("a") / "b").hash(), Site("ab").hash());
  EXPECT_NE((Site("a") / "b").hash(), Site("a/b").hash());
  EXPECT_NE((Site("a") / "b").hash(), (Site("b") / "a").hash());
  EXPECT_NE((Site("a") / 1).hash(), (Site("a") / "1").hash());
  EXPECT_NE((Site("a") / 0).hash(), Site("a").hash());
  EXPECT_NE((Site("a") / 1 / 2).hash(), (Site("a") / 2 / 1).hash());
  EXPECT_EQ((Site("a") / "b" / 3).hash(), (Site("a") / "b" / 3).hash());
}

TEST(Site, NoTwoPlacesOfALargeModelMeet) {
  std::set<uint64_t> hashes;
  int64_t places = 0;
  for (const char* network : {"generator", "discriminator"}) {
    for (const char* part : {"encoder", "decoder"}) {
      for (int64_t block = 0; block < 8; ++block) {
        for (int64_t layer = 0; layer < 32; ++layer) {
          for (int64_t repeat = 0; repeat < 4; ++repeat) {
            for (const char* purpose : {"attention", "hidden", "activation", "position"}) {
              hashes.insert((Site(network) / part / block / layer / repeat / purpose).hash());
              ++places;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(static_cast<int64_t>(hashes.size()), places);
}

// Keys of neighbouring seeds and sites differ in about half of their bits.
TEST(RandomStream, KeysOfNeighboursShareNothing) {
  for (uint64_t seed = 0; seed < 64; ++seed) {
    const uint64_t a = RandomStream(seed, Site("x"), 0).key;
    const int seeds = std::popcount(a ^ RandomStream(seed + 1, Site("x"), 0).key);
    const int sites = std::popcount((Site("x") / seed).hash() ^ (Site("x") / (seed + 1)).hash());
    EXPECT_GT(seeds, 12);
    EXPECT_GT(sites, 12);
  }
}

TEST(RandomStream, StepsAndIndicesChangeTheWords) {
  std::set<uint32_t> words;
  for (int64_t step : {int64_t{0}, int64_t{1}, int64_t{1} << 32}) {
    for (uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      for (uint32_t word : RandomStream(1, Site("x"), step).bits(index).word) words.insert(word);
    }
  }
  EXPECT_EQ(words.size(), 36u);
}

TEST(Uniform01, CoversTheHalfOpenInterval) {
  EXPECT_EQ(uniform01(0), 0.0f);
  EXPECT_EQ(uniform01(0xffffffffu), 1.0f - 0x1p-24f);
  EXPECT_EQ(uniform01(0x80000000u), 0.5f);
}

// Sixteen equal bins of 2^18 draws: the chi-square of 15 degrees of freedom exceeds 50 once in
// 100,000.
TEST(Uniform01, IsUniform) {
  constexpr int kBins = 16, kCalls = 1 << 16;
  std::array<int, kBins> counts{};
  const RandomStream stream(9, Site("uniform"), 4);
  for (int call = 0; call < kCalls; ++call) {
    const RandomBits bits = stream.bits(call);
    for (uint32_t word : bits.word) ++counts[static_cast<int>(uniform01(word) * kBins)];
  }
  const double expected = 4.0 * kCalls / kBins;
  double chi_square = 0;
  for (int count : counts) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 50);
}

}  // namespace
}  // namespace funnel
