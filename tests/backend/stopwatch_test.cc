// SPDX-License-Identifier: Apache-2.0
// A stopwatch on every device. Oracle: its contract; times themselves are only held to their order.
#include "core/backend/stopwatch.h"

#include <gtest/gtest.h>

#include "tests/support/device_under_test.h"

namespace funnel::testing {
namespace {

TEST(Stopwatch, GivesALapBetweenMarksAndForgetsThem) {
  Context& context = context_under_test();
  const Buffer memory(context.device(), 4 << 20);
  const Tensor large = memory.tensor({1 << 20}, DType::f32), small = large.slice(0, {1});
  Stopwatch watch(context);
  EXPECT_TRUE(watch.laps().empty());
  for (int round = 0; round < 2; ++round) {
    watch.mark();
    for (int i = 0; i < 50; ++i) context.fill_zero(large);
    watch.mark();
    context.fill_zero(small);
    watch.mark();
    const std::vector<double> laps = watch.laps();
    ASSERT_EQ(laps.size(), 2u);
    EXPECT_GT(laps[0], laps[1]);
    EXPECT_GE(laps[1], 0);
  }
}

TEST(Stopwatch, MedianTimeIsThatOfOneRun) {
  Context& context = context_under_test();
  const Buffer memory(context.device(), 1 << 20);
  int runs = 0;
  const double ms = median_ms(context, 5, [&] {
    context.fill_zero(memory.tensor({1 << 18}, DType::f32));
    ++runs;
  });
  EXPECT_GT(ms, 0);
  EXPECT_LT(ms, 1000);
  EXPECT_GE(runs, 7);  // a first one, one to see how long it takes, at least one a sample
}

TEST(Stopwatch, Median) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 3);
  EXPECT_EQ(median({7}), 7);
}

}  // namespace
}  // namespace funnel::testing
