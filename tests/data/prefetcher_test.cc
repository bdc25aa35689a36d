// SPDX-License-Identifier: Apache-2.0
// Oracle: the same batches loaded one after another without a thread.
#include "data/prefetcher.h"

#include <gtest/gtest.h>

#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

class PrefetcherTest : public ::testing::Test {
 protected:
  PrefetcherTest() : data_((write(folder_.path()), Mixture::open({{folder_.path()}}))) {}
  static void write(const std::filesystem::path& folder) {
    testing::write_numbered_data(folder, 30, 16, 50, 4, 8);
  }

  testing::TemporaryFolder folder_;
  Mixture data_;
  Loader loader_{data_, {.seed = 4, .global_batch = 8, .predictions = 3}};
};

TEST_F(PrefetcherTest, GivesEveryRangeOfEveryStepInOrder) {
  for (const auto& [depth, readers] : {std::pair<int64_t, int>{2, 1}, {3, 2}, {8, 5}, {2, 4}}) {
    const std::vector<LaneRange> ranges{{0, 2}, {4, 2}, {6, 1}};
    Prefetcher prefetcher(loader_, 5, ranges, depth, readers);
    Batch expected;
    for (int64_t step = 5; step < 25; ++step) {
      for (const LaneRange& range : ranges) {
        const Batch& batch = prefetcher.next();
        loader_.load(step, range.first, range.count, expected);
        ASSERT_EQ(batch.step, step);
        ASSERT_EQ(batch.first_lane, range.first);
        ASSERT_EQ(batch.first_sample, expected.first_sample);
        ASSERT_EQ(batch.samples, expected.samples);
        for (int64_t i = 0; i < expected.masked_ids.elements(); ++i) {
          ASSERT_EQ(batch.masked_ids.as<int32_t>()[i], expected.masked_ids.as<int32_t>()[i]);
        }
      }
    }
    EXPECT_GE(prefetcher.waited_seconds(), 0);
    EXPECT_LE(prefetcher.waits(), 60);
  }
}

TEST_F(PrefetcherTest, BatchInUseIsLeftAlone) {
  Prefetcher prefetcher(loader_, 0, {{0, 8}}, 2);
  for (int64_t step = 0; step < 20; ++step) {
    const Batch& batch = prefetcher.next();
    const std::vector<Sample> before = batch.samples;
    // Let the thread load as far ahead as it may.
    Batch other;
    for (int i = 0; i < 20; ++i) loader_.load(i, 0, 8, other);
    EXPECT_EQ(batch.samples, before);
    EXPECT_EQ(batch.step, step);
  }
}

TEST_F(PrefetcherTest, EndsWhileTheThreadIsBusy) {
  for (int i = 0; i < 20; ++i) Prefetcher prefetcher(loader_, i, {{0, 8}}, 3, 1 + i % 4);
}

TEST_F(PrefetcherTest, ErrorsComeAfterTheGoodBatches) {
  std::filesystem::remove(folder_ / "shard-00002.h5");
  Prefetcher prefetcher(loader_, 0, {{0, 1}}, 4, 3);
  // Shards 0, 1 and 3 are there, but lane 0 meets shard 2 at some step of the first epoch or next.
  const auto read_on = [&] {
    for (int64_t step = 0; step < 1000; ++step) {
      ASSERT_EQ(prefetcher.next().step, step);
    }
  };
  testing::expect_error(ExitCode::kNeedsHuman, {"shard-00002.h5"}, read_on);
  // It stays failed, and does not hang.
  testing::expect_error(ExitCode::kNeedsHuman, {"shard-00002.h5"}, [&] { prefetcher.next(); });
}

}  // namespace
}  // namespace funnel
