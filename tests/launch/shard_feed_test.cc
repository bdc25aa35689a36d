// SPDX-License-Identifier: Apache-2.0
// Oracle: the loader, asked for the whole global batch at once; and the definition of hidden keys.
#include "launch/shard_feed.h"

#include <gtest/gtest.h>

#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

constexpr int64_t kSeq = 16;

RunConfig feed_config(Objective objective) {
  RunConfig config;
  config.pretrain.objective = objective;
  config.pretrain.model.blocks = {{1, 1}, {1, 1}, {1, 1}};
  config.data.seq_len = kSeq;
  config.corruption.predictions = 4;
  config.train.global_batch = 8;
  config.train.logical_shards = 4;
  config.train.seed = 3;
  return config;
}

class ShardFeedTest : public ::testing::Test {
 protected:
  ShardFeedTest() {
    write_numbered_data(folder_ / "data", 21, kSeq, 30, 4, 8);
    data_ = std::make_unique<Mixture>(Mixture::open({{folder_ / "data"}}));
  }

  TemporaryFolder folder_;
  std::unique_ptr<Mixture> data_;
};

// Rows of a rank's shard are the rows of the global batch that belong there, from any first step.
TEST_F(ShardFeedTest, CutsTheGlobalBatch) {
  const RunConfig config = feed_config(Objective::electra);
  const Loader loader(*data_, {.seed = 3,
                               .global_batch = 8,
                               .predictions = 4,
                               .funnel_stride = 4,
                               .same_order_every_epoch = true});
  for (const int64_t first_step : {0, 5}) {
    for (const ShardRange range : {ShardRange{0, 4}, {0, 2}, {2, 2}, {3, 1}}) {
      ShardFeed feed(*data_, config, range, first_step);
      for (int64_t step = first_step; step < first_step + 4; ++step) {
        Batch whole;
        loader.load(step, 0, 8, whole);
        for (int64_t shard = range.first; shard < range.first + range.count; ++shard) {
          const PretrainBatch& batch = feed.next();
          const auto expect_rows = [&](const ConstTensor& found, const Tensor& all) {
            const Shape shape{2, all.cols()};
            EXPECT_TRUE(same_bits(found, all.slice(shard * 2 * all.cols(), shape)))
                << "step " << step << ", shard " << shard;
          };
          expect_rows(batch.input_ids, whole.input_ids);
          expect_rows(batch.masked_ids, whole.masked_ids);
          expect_rows(batch.segments, whole.segments);
          expect_rows(batch.padded, whole.padded);
          expect_rows(batch.hidden, whole.padded);  // ELECTRA hides padding alone
          expect_rows(batch.positions, whole.positions);
          expect_rows(batch.targets, whole.targets);
          EXPECT_EQ(batch.tokens, 2 * (kSeq - 3));  // three make room for the funnel's stride of 4
          EXPECT_FALSE(batch.samples);
        }
      }
    }
  }
}

TEST_F(ShardFeedTest, MlmHidesMaskTokensIfAsked) {
  for (const bool hides : {true, false}) {
    RunConfig config = feed_config(Objective::mlm);
    config.pretrain.hide_mask_tokens = hides;
    ShardFeed feed(*data_, config, {0, 4}, 0);
    int64_t masked = 0;
    for (int shard = 0; shard < 8; ++shard) {
      const PretrainBatch& batch = feed.next();
      const std::vector<double> ids = values_of(batch.masked_ids), hidden = values_of(batch.hidden),
                                padded = values_of(batch.padded);
      for (size_t i = 0; i < ids.size(); ++i) {
        const bool is_mask = ids[i] == data_->vocabulary().special().mask;
        masked += is_mask;
        EXPECT_EQ(hidden[i] != 0, padded[i] != 0 || (hides && is_mask));
      }
    }
    EXPECT_GT(masked, 0);
  }
}

// A stride is for models that truncate: others keep every token.
TEST_F(ShardFeedTest, WithoutTruncationNothingIsPadded) {
  RunConfig config = feed_config(Objective::electra);
  config.pretrain.model.truncate_seq = false;
  ShardFeed feed(*data_, config, {0, 4}, 0);
  EXPECT_EQ(feed.next().tokens, 2 * kSeq);
}

}  // namespace
}  // namespace funnel::testing
