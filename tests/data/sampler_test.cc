// SPDX-License-Identifier: Apache-2.0
// Oracle: a simulation that walks step by step through the definition of the order.
#include "data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace funnel {
namespace {

// With a single data set.
Visit visit(int64_t examples, int64_t lanes, int64_t step, int64_t lane) {
  return Sampler({{examples}}, lanes).visit(step, lane);
}

TEST(Sampler, EveryPositionOncePerEpochForAnySizes) {
  for (int64_t examples = 1; examples <= 23; ++examples) {
    for (int64_t lanes = 1; lanes <= 29; ++lanes) {
      const int64_t epochs = 4, steps = (epochs * examples + lanes - 1) / lanes;
      const Sampler sampler({{examples}}, lanes);
      std::vector<std::vector<int>> seen(epochs + lanes, std::vector<int>(examples, 0));
      for (int64_t step = 0; step < steps; ++step) {
        for (int64_t lane = 0; lane < lanes; ++lane) {
          const Visit at = sampler.visit(step, lane);
          ASSERT_EQ(at.epoch, (step * lanes + lane) / examples);
          ASSERT_TRUE(at.position >= 0 && at.position < examples)
              << examples << " examples, " << lanes << " lanes, step " << step << ", lane " << lane;
          ++seen[at.epoch][at.position];
        }
      }
      for (int64_t epoch = 0; epoch < epochs; ++epoch) {
        for (int64_t i = 0; i < examples; ++i) {
          ASSERT_EQ(seen[epoch][i], 1) << examples << " examples, " << lanes << " lanes";
        }
      }
    }
  }
}

TEST(Sampler, EachLaneWalksASectionInOrder) {
  for (const auto& [examples, lanes] :
       {std::pair<int64_t, int64_t>{100, 8}, {97, 8}, {1000, 32}, {7, 16}, {64, 1}}) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Visit before = visit(examples, lanes, 0, lane);
      for (int64_t step = 1; step < 200; ++step) {
        const Visit at = visit(examples, lanes, step, lane);
        if (at.epoch == before.epoch) {
          ASSERT_EQ(at.position, before.position + 1);
        }
        before = at;
      }
    }
  }
}

TEST(Sampler, LanesShareTheEpochInLaneOrder) {
  // 10 examples, 4 lanes. Visits 0..9: lanes 0 and 1 have three, lanes 2 and 3 have two.
  const auto position = [](int64_t step, int64_t lane) { return visit(10, 4, step, lane); };
  EXPECT_EQ(position(0, 0), (Visit{0, 0, 0}));
  EXPECT_EQ(position(2, 0), (Visit{0, 0, 2}));
  EXPECT_EQ(position(0, 1), (Visit{0, 0, 3}));
  EXPECT_EQ(position(0, 2), (Visit{0, 0, 6}));
  EXPECT_EQ(position(1, 3), (Visit{0, 0, 9}));
  // Visits 10..19 begin in the middle of step 2: lane 2 comes first, but lane 0's section does.
  EXPECT_EQ(position(2, 2), (Visit{0, 1, 4}));
  EXPECT_EQ(position(3, 0), (Visit{0, 1, 0}));
  EXPECT_EQ(position(4, 3), (Visit{0, 1, 9}));
}

TEST(Sampler, FarAheadIsAsGoodAsNear) {
  const int64_t step = int64_t{1} << 40;
  std::set<int64_t> positions;
  for (int64_t s = step; s < step + 300; ++s) {
    const Visit at = visit(300, 1, s, 0);
    positions.insert(at.position);
  }
  EXPECT_EQ(positions.size(), 300u);
}

std::vector<int64_t> order_of(uint64_t seed, int64_t epoch, int64_t examples, int64_t chunk_rows) {
  const EpochOrder order(seed, 0, epoch, examples, chunk_rows);
  std::vector<int64_t> list;
  for (int64_t i = 0; i < examples; ++i) list.push_back(order.example(i));
  return list;
}

TEST(EpochOrder, IsAPermutationThatKeepsChunksTogether) {
  for (const auto& [examples, chunk_rows] : {std::pair<int64_t, int64_t>{1, 4},
                                             {8, 4},
                                             {9, 4},
                                             {11, 4},
                                             {100, 7},
                                             {5, 256},
                                             {1000, 1}}) {
    for (int64_t epoch = 0; epoch < 5; ++epoch) {
      const std::vector<int64_t> order = order_of(1, epoch, examples, chunk_rows);
      std::vector<int64_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (int64_t i = 0; i < examples; ++i) ASSERT_EQ(sorted[i], i);
      int64_t changes = 0;
      for (int64_t i = 1; i < examples; ++i) {
        changes += order[i] / chunk_rows != order[i - 1] / chunk_rows;
      }
      EXPECT_EQ(changes, (examples + chunk_rows - 1) / chunk_rows - 1);
    }
  }
}

TEST(EpochOrder, DependsOnSeedAndEpoch) {
  EXPECT_EQ(order_of(1, 0, 100, 8), order_of(1, 0, 100, 8));
  EXPECT_NE(order_of(1, 0, 100, 8), order_of(1, 1, 100, 8));
  EXPECT_NE(order_of(1, 0, 100, 8), order_of(2, 0, 100, 8));
  // One chunk: only the rows are shuffled, and they are.
  EXPECT_NE(order_of(1, 0, 100, 100), order_of(1, 1, 100, 100));
}

TEST(EpochOrder, EveryExampleIsEquallyLikelyAnywhere) {
  // Five chunks of four rows: how often each example comes first over 20000 epochs; 1000 expected
  // each, standard deviation 31.
  std::vector<int> first(20, 0);
  for (int64_t epoch = 0; epoch < 20000; ++epoch)
    ++first[EpochOrder(5, 0, epoch, 20, 4).example(0)];
  for (int count : first) EXPECT_NEAR(count, 1000, 140);
}

}  // namespace
}  // namespace funnel
