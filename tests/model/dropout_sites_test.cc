// SPDX-License-Identifier: Apache-2.0
// Oracles: where a mask must be drawn anew and where it must be shared. A sub-layer whose output
// kernel is zero and whose output bias is one adds its dropout factors to the residual, so that
// masks can be read off; a table's mask can be read off its cosines and sines that became zero.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/model/attention_plans.h"
#include "tests/model/random_batch.h"
#include "tests/model/whole_model.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

constexpr int64_t kWidth = 16, kSeq = 13;
constexpr double kRate = 0.5;

PretrainConfig config() {
  PretrainConfig config;
  config.model = {.vocab = 23,
                  .embedding_width = kWidth,
                  .width = kWidth,
                  .heads = 4,
                  .head_width = 4,
                  .inner = 24,
                  .blocks = {{2, 2}, {1, 2}},
                  .decoder = {1, 2}};
  config.model.hidden_dropout = kRate;
  config.model.attention_dropout = 0;
  config.generator_width_ratio = 1;
  return config;
}

// The factors of `branch` within sum = residual + dropout(branch), for a branch of ones.
std::vector<int> mask_of(const ConstTensor& sum, const ConstTensor& residual) {
  const std::vector<double> a = values_of(sum), b = values_of(residual);
  std::vector<int> kept;
  for (size_t i = 0; i < a.size(); ++i) kept.push_back(static_cast<int>(std::lround(a[i] - b[i])));
  return kept;
}

void collect(const std::vector<TransformerLayer::Saved>& applications,
             std::vector<std::vector<int>>& masks) {
  for (const TransformerLayer::Saved& layer : applications) {
    masks.push_back(mask_of(layer.attention.norm.x, layer.attention.query.x));
    masks.push_back(mask_of(layer.feed_forward.norm.x, layer.feed_forward.up.x));
  }
}

TEST(DropoutSites, EveryApplicationOfEverySubLayerDrawsItsOwnMask) {
  const RandomBatch batch({.vocab = 23, .batch = 2, .seq = kSeq, .predictions = 4}, 3);
  ModelInputs inputs;
  inputs.batch = batch.all();
  Rig rig(DType::f64, "electra", config());
  for (const Param& param : rig.params.all()) {
    const bool is_output = param.name.find("/output/") != std::string::npos ||
                           param.name.find("/down/") != std::string::npos;
    if (!is_output) continue;
    const double value = param.name.ends_with("bias") ? 1 : 0;
    set_values(param.value, std::vector<double>(param.value.elements(), value));
  }
  rig.forward(inputs);

  std::vector<std::vector<int>> masks;
  const Electra::Saved& saved = *rig.model().electra();
  for (const FunnelNetwork::Saved* network : {&saved.discriminator, &saved.generator.network}) {
    collect(network->encoder.applications, masks);
    collect(network->decoder.applications, masks);
  }
  // In either network six applications in the encoder and two in the decoder, of two sub-layers.
  ASSERT_EQ(masks.size(), 32u);
  std::set<std::vector<int>> starts;  // of the shortest mask's length
  const size_t shortest = 2 * 7 * kWidth;
  for (const std::vector<int>& mask : masks) {
    ASSERT_GE(mask.size(), shortest);
    EXPECT_EQ(std::set<int>(mask.begin(), mask.end()), (std::set<int>{0, 2}));
    starts.insert({mask.begin(), mask.begin() + shortest});
  }
  EXPECT_EQ(starts.size(), masks.size());
}

// Which entries of a plan's table survived, by (distance, column).
using Kept = std::map<std::pair<int64_t, int64_t>, bool>;

Kept kept_entries(const AttentionPlan& dropped, const AttentionPlan& whole, int64_t first,
                  int64_t step) {
  Kept kept;
  for (int64_t row = 0; row < whole.positions.rows(); ++row) {
    for (int64_t column = 0; column < kWidth; ++column) {
      const double full = whole.positions.as<double>()[row * kWidth + column];
      const double found = dropped.positions.as<double>()[row * kWidth + column];
      if (full == 0) continue;  // sin 0
      EXPECT_TRUE(found == 0 || found == 2 * full);
      kept[{first - row * step, column}] = found != 0;
    }
  }
  return kept;
}

double share_kept(const Kept& kept) {
  double count = 0;
  for (const auto& [entry, is_kept] : kept) count += is_kept ? 1 : 0;
  return count / static_cast<double>(kept.size());
}

// The tables of one policy: block 0, block 1's pooling layer, block 1, decoder.
std::vector<Kept> tables(PositionDropout policy, int64_t seq) {
  FunnelConfig model = config().model;
  model.position_dropout = policy;
  Context context(Device::cpu);
  Arena saved(Device::cpu);
  PositionTables cache(DType::f64, kWidth);
  const auto plan = [&](bool training) {
    Step step{.context = context, .saved = saved, .seed = 4, .number = 2, .training = training};
    const std::vector<BlockPlan> blocks =
        plan_blocks(step, Site("network"), model, cache, {1, seq, {}, {}});
    return std::vector<AttentionPlan>{
        blocks[0].self, blocks[1].pool, blocks[1].self,
        plan_decoder(step, Site("decoder"), model, cache, blocks[0].self)};
  };
  const std::vector<AttentionPlan> dropped = plan(true), whole = plan(false);
  // Sequences of 64 and 32 tokens, truncated, CLS apart.
  return {kept_entries(dropped[0], whole[0], 64, 1), kept_entries(dropped[1], whole[1], 63, 1),
          kept_entries(dropped[2], whole[2], 64, 2), kept_entries(dropped[3], whole[3], 64, 1)};
}

// Of the entries that two tables have in common, the share on which they agree.
double agreement(const Kept& a, const Kept& b) {
  double common = 0, equal = 0;
  for (const auto& [entry, is_kept] : a) {
    const auto other = b.find(entry);
    if (other == b.end()) continue;
    ++common;
    equal += other->second == is_kept ? 1 : 0;
  }
  EXPECT_GT(common, 900);
  return equal / common;
}

TEST(DropoutSites, PerTableEachTableDrawsAnewAndTheDecoderSharesTheFirst) {
  const std::vector<Kept> kept = tables(PositionDropout::per_table, 64);
  for (const Kept& table : kept) EXPECT_NEAR(share_kept(table), 1 - kRate, 0.06);
  EXPECT_NEAR(agreement(kept[0], kept[1]), 0.5, 0.08);
  EXPECT_NEAR(agreement(kept[0], kept[2]), 0.5, 0.08);
  EXPECT_NEAR(agreement(kept[1], kept[2]), 0.5, 0.08);
  EXPECT_EQ(kept[0], kept[3]);
}

TEST(DropoutSites, ByDistanceAllTablesShareAMaskAndTheDecoderDrawsItsOwn) {
  const std::vector<Kept> kept = tables(PositionDropout::by_distance, 64);
  for (const Kept& table : kept) EXPECT_NEAR(share_kept(table), 1 - kRate, 0.06);
  EXPECT_EQ(agreement(kept[0], kept[1]), 1);
  EXPECT_EQ(agreement(kept[0], kept[2]), 1);
  EXPECT_NEAR(agreement(kept[0], kept[3]), 0.5, 0.08);
}

}  // namespace
}  // namespace funnel::testing
