// SPDX-License-Identifier: Apache-2.0
// Oracles: explicit lists of window members (tests/reference/pooling.h), pooled lengths worked out
// by hand for the published models.
#include "core/ops/pooling.h"

#include <gtest/gtest.h>

#include "tests/reference/pooling.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

std::vector<PoolWindows> modes(int64_t seq) {
  return {{seq, true, true}, {seq, true, false}, {seq, false, true}, {seq, false, false}};
}

std::vector<ref::Integers> reference_windows(const PoolWindows& windows) {
  return ref::pool_windows(windows.seq, windows.separate_cls, windows.truncate);
}

std::string describe(const PoolWindows& windows) {
  return "seq " + std::to_string(windows.seq) + (windows.separate_cls ? ", separate CLS" : "") +
         (windows.truncate ? ", truncate" : "");
}

// As the reference has it: truncation is ignored without a separate CLS.
TEST(PoolWindows, EveryWindowAgreesWithEnumeration) {
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const PoolWindows& windows : modes(seq)) {
      SCOPED_TRACE(describe(windows));
      const std::vector<ref::Integers> expected = reference_windows(windows);
      ASSERT_EQ(windows.pooled(), static_cast<int64_t>(expected.size()));
      ref::Integers window_of(seq, -1);
      for (int64_t w = 0; w < windows.pooled(); ++w) {
        EXPECT_EQ(windows.first(w), expected[w].front()) << "window " << w;
        EXPECT_EQ(windows.last(w), expected[w].back()) << "window " << w;
        for (int64_t t : expected[w]) window_of[t] = w;
      }
      for (int64_t t = 0; t < seq; ++t) {
        EXPECT_EQ(windows.window_of(t), window_of[t]) << "position " << t;
      }
    }
  }
}

std::vector<int64_t> lengths(int64_t seq, bool separate_cls, bool truncate) {
  std::vector<int64_t> all{seq};
  for (int block = 1; block < 3; ++block) {
    all.push_back(PoolWindows{all.back(), separate_cls, truncate}.pooled());
  }
  return all;
}

TEST(PoolWindows, LengthsOfThreeBlocks) {
  using Lengths = std::vector<int64_t>;
  EXPECT_EQ(lengths(512, true, true), (Lengths{512, 256, 128}));
  EXPECT_EQ(lengths(128, true, true), (Lengths{128, 64, 32}));
  EXPECT_EQ(lengths(512, true, false), (Lengths{512, 257, 129}));
  EXPECT_EQ(lengths(128, true, false), (Lengths{128, 65, 33}));
  EXPECT_EQ(lengths(8, true, true), (Lengths{8, 4, 2}));
  EXPECT_EQ(lengths(8, true, false), (Lengths{8, 5, 3}));
  EXPECT_EQ(lengths(8, false, true), (Lengths{8, 4, 2}));
  EXPECT_EQ(lengths(7, true, true), (Lengths{7, 4, 2}));
  EXPECT_EQ(lengths(9, true, true), (Lengths{9, 5, 3}));
  EXPECT_EQ(lengths(11, true, true), (Lengths{11, 6, 3}));
  EXPECT_EQ(lengths(12, true, true), (Lengths{12, 6, 3}));
  EXPECT_EQ(lengths(16, true, true), (Lengths{16, 8, 4}));
  EXPECT_EQ(lengths(7, true, false), (Lengths{7, 4, 3}));
  EXPECT_EQ(lengths(9, true, false), (Lengths{9, 5, 3}));
  EXPECT_EQ(lengths(12, true, false), (Lengths{12, 7, 4}));
}

// Positions that pooled tokens carry (their windows' first members, chained), for eight tokens and
// three blocks; CLS, whose position is irrelevant, left out.
TEST(PoolWindows, FirstMembersOfChainedBlocks) {
  const auto positions = [](bool separate_cls, bool truncate, int blocks) {
    ref::Integers carried{0, 1, 2, 3, 4, 5, 6, 7};
    for (int block = 0; block < blocks; ++block) {
      const PoolWindows windows{static_cast<int64_t>(carried.size()), separate_cls, truncate};
      ref::Integers next;
      for (int64_t w = 0; w < windows.pooled(); ++w) next.push_back(carried[windows.first(w)]);
      carried = next;
    }
    return ref::Integers(carried.begin() + (separate_cls ? 1 : 0), carried.end());
  };
  EXPECT_EQ(positions(true, true, 1), (ref::Integers{1, 3, 5}));
  EXPECT_EQ(positions(true, true, 2), (ref::Integers{1}));
  EXPECT_EQ(positions(true, false, 1), (ref::Integers{1, 3, 5, 7}));
  EXPECT_EQ(positions(true, false, 2), (ref::Integers{1, 5}));
  EXPECT_EQ(positions(false, true, 1), (ref::Integers{0, 2, 4, 6}));
  EXPECT_EQ(positions(false, true, 2), (ref::Integers{0, 4}));
}

TEST(PoolFlags, EqualReference) {
  Context& context = context_under_test();
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const PoolWindows& windows : modes(seq)) {
      SCOPED_TRACE(describe(windows));
      const int64_t batch = 5;
      const auto lists = reference_windows(windows);
      const OwnedTensor hidden = random_integers({batch, seq}, DType::u8, 2, seq);
      const OwnedTensor segments = random_integers({batch, seq}, DType::u8, 3, seq + 100);
      const OwnedTensor pooled_hidden({batch, windows.pooled()}, DType::u8);
      const OwnedTensor pooled_segments({batch, windows.pooled()}, DType::u8);
      pool_hidden(context, windows, hidden, pooled_hidden);
      pool_segments(context, windows, segments, pooled_segments);
      EXPECT_EQ(integers_of(pooled_hidden),
                ref::pool_hidden(integers_of(hidden), lists, batch, seq));
      EXPECT_EQ(integers_of(pooled_segments),
                ref::pool_first(integers_of(segments), lists, batch, seq));
    }
  }
}

TEST(PoolFlags, RejectWrongShapes) {
  Context& context = context_under_test();
  const PoolWindows windows{8, true, true};
  const OwnedTensor flags({2, 8}, DType::u8), right({2, 4}, DType::u8);
  const OwnedTensor wrong({2, 5}, DType::u8), short_flags({2, 7}, DType::u8);
  EXPECT_THROW(pool_hidden(context, windows, flags, wrong), Error);
  EXPECT_THROW(pool_hidden(context, windows, short_flags, right), Error);
  EXPECT_THROW(pool_segments(context, windows, flags, wrong), Error);
}

}  // namespace
}  // namespace funnel::testing
