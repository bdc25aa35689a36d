// SPDX-License-Identifier: Apache-2.0
// Oracles: the worked position tables of a sequence of eight tokens in three blocks, and for other
// lengths the recursion on positions of tests/reference. Row c = shift (q_len - i) + j of a plan's
// table must hold the sinusoids of the distance between query i and key j.
#include <gtest/gtest.h>

#include <numeric>

#include "core/model/attention_plans.h"
#include "tests/model/whole_model.h"
#include "tests/reference/positions.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

constexpr int64_t kWidth = 8;

FunnelConfig three_blocks(bool separate_cls, bool truncate) {
  FunnelConfig config;
  config.width = kWidth;
  config.separate_cls = separate_cls;
  config.truncate_seq = truncate;
  return config;
}

class Plans {
 public:
  Plans(const FunnelConfig& config, int64_t seq)
      : blocks(plan_blocks(step_, Site("plans"), config, tables_, {1, seq, {}, {}})) {}

 private:
  Context context_{Device::cpu};
  Arena saved_{Device::cpu};
  Step step_{.context = context_, .saved = saved_, .training = false};
  PositionTables tables_{DType::f64, kWidth};

 public:
  std::vector<BlockPlan> blocks;
};

std::vector<double> sinusoids(int64_t first, int64_t step, int64_t rows) {
  return ref::sinusoid_table(first, step, rows, kWidth);
}

// A table's distances: `rows` of them, from `first` down in steps.
struct Distances {
  int64_t first, step, rows;
};

void expect_table(const AttentionPlan& plan, const Distances& expected) {
  ASSERT_EQ(plan.positions.rows(), expected.rows);
  expect_close("positions", values_of(plan.positions),
               sinusoids(expected.first, expected.step, expected.rows), {0, 1e-13});
}

struct Example {
  bool separate_cls, truncate;
  std::vector<int64_t> lengths;
  Distances self_0, pool_1, self_1, pool_2, self_2;
};

TEST(Positions, WorkedTablesOfEightTokens) {
  const Example examples[] = {
      {true, true, {8, 4, 2}, {8, 1, 16}, {7, 1, 16}, {8, 2, 8}, {6, 2, 8}, {8, 4, 4}},
      {true, false, {8, 5, 3}, {8, 1, 16}, {9, 1, 18}, {10, 2, 10}, {10, 2, 11}, {12, 4, 6}},
      {false, true, {8, 4, 2}, {8, 1, 16}, {8, 1, 16}, {8, 2, 8}, {8, 2, 8}, {8, 4, 4}},
  };
  for (const Example& e : examples) {
    const FunnelConfig config = three_blocks(e.separate_cls, e.truncate);
    EXPECT_EQ(block_lengths(config, 8), e.lengths);
    const Plans plans(config, 8);
    expect_table(plans.blocks[0].self, e.self_0);
    expect_table(plans.blocks[1].pool, e.pool_1);
    expect_table(plans.blocks[1].self, e.self_1);
    expect_table(plans.blocks[2].pool, e.pool_2);
    expect_table(plans.blocks[2].self, e.self_2);
  }
}

TEST(Positions, TablesOfFiveHundredAndTwelveTokens) {
  const Plans plans(three_blocks(true, true), 512);
  expect_table(plans.blocks[0].self, {512, 1, 1024});
  expect_table(plans.blocks[1].pool, {511, 1, 1024});
  expect_table(plans.blocks[1].self, {512, 2, 512});
  expect_table(plans.blocks[2].pool, {510, 2, 512});
  expect_table(plans.blocks[2].self, {512, 4, 256});
}

void expect_distances(const AttentionPlan& plan, const ref::Integers& queries,
                      const ref::Integers& keys) {
  ASSERT_EQ(plan.q_len, static_cast<int64_t>(queries.size()));
  ASSERT_EQ(plan.k_len, static_cast<int64_t>(keys.size()));
  const std::vector<double> table = values_of(plan.positions);
  std::vector<double> found, expected;
  for (int64_t i = 0; i < plan.q_len; ++i) {
    for (int64_t j = 0; j < plan.k_len; ++j) {
      const auto row = table.begin() + (plan.shift * (plan.q_len - i) + j) * kWidth;
      found.insert(found.end(), row, row + kWidth);
      const ref::Vector e = ref::sinusoid(static_cast<double>(queries[i] - keys[j]), kWidth);
      expected.insert(expected.end(), e.begin(), e.end());
    }
  }
  expect_close("distances", found, expected, {0, 1e-13});
}

TEST(Positions, EveryPairOfAnyLength) {
  for (int64_t seq : {1, 2, 3, 5, 7, 9, 12, 16, 31, 33}) {
    for (const auto& [separate_cls, truncate] :
         {std::pair{true, true}, std::pair{true, false}, std::pair{false, false}}) {
      SCOPED_TRACE(concat(seq, " tokens, separate ", separate_cls, ", truncate ", truncate));
      const Plans plans(three_blocks(separate_cls, truncate), seq);
      for (int64_t b = 0; b < 3; ++b) {
        const ref::Integers own = ref::block_positions(seq, b, separate_cls, truncate);
        expect_distances(plans.blocks[b].self, own, own);
        if (b == 0) continue;
        expect_distances(plans.blocks[b].pool, own,
                         ref::block_positions(seq, b - 1, separate_cls, truncate));
      }
    }
  }
}

// 512 tokens in blocks of 512, 256 and 128.
TEST(Positions, DecoderGivesOneVectorPerTokenAndTruncationLeavesTheTailWithoutPooledVectors) {
  PretrainConfig config;
  config.model = three_blocks(true, true);
  config.model.vocab = 11;
  config.model.embedding_width = kWidth;
  config.model.heads = 2;
  config.model.head_width = 4;
  config.model.inner = 16;
  config.model.blocks = {{1, 1}, {1, 1}, {1, 1}};
  config.model.decoder = {1, 1};
  Rig rig(DType::f64, "hidden", config);
  rig.step.training = false;
  const OwnedTensor ids = random_integers({1, 512}, DType::i32, 11, 1);
  const OwnedTensor cotangent = zero_tensor({1, 512, kWidth}, DType::f64);
  ModelInputs inputs;
  inputs.batch.input_ids = ids;
  inputs.cotangent = cotangent;
  rig.forward(inputs);

  const FunnelNetwork::Saved& network = rig.model().network();
  EXPECT_EQ(network.encoder.outputs.back().rows(), 128);
  EXPECT_EQ(network.output.rows(), 512);
  const std::vector<double> sum = values_of(network.encoder.upsampled);
  const std::vector<double> first = values_of(network.encoder.outputs.front());
  const std::vector<double> pooled = values_of(network.encoder.outputs.back());
  for (int64_t t = 0; t < 512; ++t) {
    const int64_t source = t == 0 ? 0 : 1 + (t - 1) / 4;
    for (int64_t c = 0; c < kWidth; ++c) {
      const double up = t < 509 ? pooled.at(source * kWidth + c) : 0.0;
      EXPECT_EQ(sum.at(t * kWidth + c), first.at(t * kWidth + c) + up) << "token " << t;
    }
  }
}

}  // namespace
}  // namespace funnel::testing
