// SPDX-License-Identifier: Apache-2.0
// Oracles: the counts of tests/model/paper_models.h; layer sizes by the closed form 13 D^2 + 17 D;
// operations in GFLOP from a separate script, to the digits it printed; the ratios of the project's
// result figures.
#include "core/model/model_cost.h"

#include <gtest/gtest.h>

#include "tests/model/paper_models.h"

namespace funnel {
namespace {

using testing::network_of;
using testing::paper_model;
using testing::paper_models;
using testing::PaperModel;
using testing::pretrain_of;

TEST(ModelCost, ParametersOfEveryPaperModel) {
  for (const PaperModel& model : paper_models()) {
    const ParameterCounts counts = count_parameters(network_of(model));
    EXPECT_EQ(counts.encoder(), model.encoder) << model.name;
    EXPECT_EQ(counts.network(), model.network) << model.name;
    EXPECT_EQ(counts.input_projection, 0) << model.name;
    EXPECT_EQ(counts.layer, 13 * model.width * model.width + 17 * model.width) << model.name;
    EXPECT_EQ(count_parameters(pretrain_of(model, Objective::mlm)).total(), model.mlm)
        << model.name;
    const auto electra = count_parameters(pretrain_of(model, Objective::electra));
    EXPECT_EQ(electra.network, model.network) << model.name;
    EXPECT_EQ(electra.generator, model.generator) << model.name;
    EXPECT_EQ(electra.total(), model.electra) << model.name;
  }
}

TEST(ModelCost, ParametersOfTheParts) {
  const ParameterCounts base = count_parameters(network_of(paper_model("B4-4-4H768")));
  EXPECT_EQ(base.layer, 7680768);
  EXPECT_EQ(base.embedding, 23442432);
  const ParameterCounts large = count_parameters(network_of(paper_model("L24H1024")));
  EXPECT_EQ(large.layer, 13648896);
  EXPECT_EQ(large.embedding, 31256576);

  const auto generator_of = [](const char* name) {
    return count_parameters(generator_config(pretrain_of(paper_model(name), Objective::electra)));
  };
  EXPECT_EQ(generator_of("B4-4-4H768").layer, 482496);
  EXPECT_EQ(generator_of("L24H1024").layer, 856320);
  EXPECT_EQ(generator_of("B4-4-4H768").input_projection, 768 * 192 + 192);
}

TEST(ModelCost, SmallModelByHand) {
  // The tiny model that golden values exist for: 3,782 parameters with both heads.
  FunnelConfig config;
  config.vocab = 13;
  config.embedding_width = config.width = 8;
  config.heads = 2;
  config.head_width = 4;
  config.inner = 16;
  config.blocks = {{2, 1}, {1, 2}, {1, 1}};
  config.decoder = {1, 1};
  const ParameterCounts counts = count_parameters(config);
  EXPECT_EQ(counts.network() + counts.mlm_head + counts.discriminator_head, 3782);
}

// Encoder parameters against the baseline's, as ratios of the counts above.
TEST(ModelCost, ParameterRatios) {
  const auto ratio = [](const char* name, const char* baseline) {
    return static_cast<double>(count_parameters(network_of(paper_model(name))).encoder()) /
           static_cast<double>(count_parameters(network_of(paper_model(baseline))).encoder());
  };
  EXPECT_NEAR(ratio("B6-6-6H768", "L12H768"), 1.3986, 5e-5);
  EXPECT_NEAR(ratio("B10-10-10H1024", "L24H1024"), 1.2282, 5e-5);
  EXPECT_EQ(ratio("B8-8-8H1024", "L24H1024"), 1.0);
  EXPECT_EQ(ratio("B4-4-4H768", "L12H768"), 1.0);
  EXPECT_EQ(ratio("B6-3x2-3x2H768", "L12H768"), 1.0);
  EXPECT_NEAR(ratio("B3-4-4H768", "L6H768"), 1.5524, 5e-5);
}

TEST(ModelCost, RelativeCost) {
  for (const PaperModel& model : paper_models()) {
    EXPECT_EQ(weighted_depth(network_of(model)), model.weighted_depth) << model.name;
    EXPECT_NEAR(relative_cost(network_of(model)), model.relative_cost, 5e-5) << model.name;
  }
  const auto within_group = [](const char* name, const char* baseline) {
    return relative_cost(network_of(paper_model(name))) /
           relative_cost(network_of(paper_model(baseline)));
  };
  EXPECT_NEAR(within_group("B10-10-10H1024", "L24H1024"), 0.729, 5e-4);
  EXPECT_NEAR(within_group("B8-8-8H1024", "L24H1024"), 0.583, 5e-4);
  EXPECT_NEAR(within_group("B6-6-6H768", "L12H768"), 0.875, 5e-4);
  EXPECT_NEAR(within_group("B6-3x2-3x2H768", "L12H768"), 0.875, 5e-4);
  EXPECT_NEAR(within_group("B4-4-4H768", "L12H768"), 0.583, 5e-4);
  EXPECT_EQ(within_group("B3-4-4H768", "L6H768"), 1.0);
}

// Forward GFLOP of one sequence of 512, and of 128 in the last column.
struct Operations {
  const char* name;
  double content;     // encoder, without position scores
  double shifted;     // encoder
  double network;     // encoder and decoder
  double factorized;  // encoder
  double generator;
  double generator_head;
  double electra;
  double mlm;
  double content_128;
};

constexpr Operations kOperations[] = {
    {"B10-10-10H1024", 241.56, 255.99, 286.1, 491.2, 24.4, 5.4, 316.9, 291.6, 57.69},
    {"B8-8-8H1024", 193.64, 205.25, 235.3, 394.4, 20.1, 5.4, 261.9, 240.8, 46.23},
    {"B6-6-6H768", 83.62, 90.21, 107.9, 169.1, 10.0, 4.0, 122.5, 112.0, 19.67},
    {"B6-3x2-3x2H768", 83.62, 90.21, 107.9, 169.1, 10.0, 4.0, 122.5, 112.0, 19.67},
    {"B4-4-4H768", 56.13, 60.61, 78.3, 114.1, 7.3, 4.0, 90.3, 82.4, 13.19},
    {"L24H1024", 335.06, 360.83, 360.8, 773.1, 32.5, 5.4, 399.8, 366.3, 78.93},
    {"L12H768", 96.66, 106.32, 106.3, 219.9, 10.4, 4.0, 121.4, 110.4, 22.35},
};

double giga(int64_t flops) {
  return static_cast<double>(flops) * 1e-9;
}

double encoder_giga(const char* name, int64_t seq, PositionScores position) {
  return giga(network_flops(network_of(paper_model(name)), seq, position).encoder());
}

TEST(ModelCost, OperationsOfPaperModels) {
  for (const Operations& expected : kOperations) {
    SCOPED_TRACE(expected.name);
    const char* name = expected.name;
    const PaperModel model = paper_model(name);
    EXPECT_NEAR(encoder_giga(name, 512, PositionScores::not_counted), expected.content, 5.1e-3);
    EXPECT_NEAR(encoder_giga(name, 512, PositionScores::shifted), expected.shifted, 5.1e-3);
    EXPECT_NEAR(encoder_giga(name, 512, PositionScores::factorized), expected.factorized, 5.1e-2);
    EXPECT_NEAR(encoder_giga(name, 128, PositionScores::not_counted), expected.content_128, 5.1e-3);

    const StepFlops electra = step_flops(pretrain_of(model, Objective::electra), 512, 85);
    EXPECT_NEAR(giga(electra.network), expected.network, 5.1e-2);
    EXPECT_NEAR(giga(electra.generator), expected.generator, 5.1e-2);
    EXPECT_NEAR(giga(electra.generator_head), expected.generator_head, 5.1e-2);
    EXPECT_NEAR(giga(electra.forward()), expected.electra, 5.1e-2);
    EXPECT_EQ(electra.training(), 3 * electra.forward());
    const StepFlops mlm = step_flops(pretrain_of(model, Objective::mlm), 512, 85);
    EXPECT_NEAR(giga(mlm.forward()), expected.mlm, 5.1e-2);
  }
}

TEST(ModelCost, OperationRatios) {
  struct Ratio {
    const char* name;
    const char* baseline;
    double content;
    double shifted;
  };
  for (const Ratio& expected : {Ratio{"B10-10-10H1024", "L24H1024", 0.721, 0.709},
                                Ratio{"B8-8-8H1024", "L24H1024", 0.578, 0.569},
                                Ratio{"B6-6-6H768", "L12H768", 0.865, 0.848},
                                Ratio{"B4-4-4H768", "L12H768", 0.581, 0.570}}) {
    const auto ratio = [&](PositionScores position) {
      return encoder_giga(expected.name, 512, position) /
             encoder_giga(expected.baseline, 512, position);
    };
    EXPECT_NEAR(ratio(PositionScores::not_counted), expected.content, 5.1e-4) << expected.name;
    EXPECT_NEAR(ratio(PositionScores::shifted), expected.shifted, 5.1e-4) << expected.name;
  }
}

TEST(ModelCost, LayerRunsFollowTheLayout) {
  FunnelConfig config = network_of(paper_model("B6-3x2-3x2H768"));
  std::vector<LayerRun> runs = layer_runs(config, 512, PositionScores::shifted);
  ASSERT_EQ(runs.size(), 6u);  // block, (pooling layer, block) twice, decoder
  EXPECT_EQ(runs[0].applications, 6);
  EXPECT_EQ(runs[1].applications, 1);
  EXPECT_TRUE(runs[1].is_pooling);
  EXPECT_EQ(runs[1].queries, 256);
  EXPECT_EQ(runs[1].keys, 512);
  EXPECT_EQ(runs[2].applications, 5);
  EXPECT_EQ(runs[2].keys, 256);
  EXPECT_EQ(runs[4].queries, 128);
  EXPECT_TRUE(runs[5].is_decoder);
  EXPECT_EQ(runs[5].queries, 512);

  config.pool_query_only = false;
  runs = layer_runs(config, 512, PositionScores::shifted);
  EXPECT_EQ(runs[1].keys, 256);
  EXPECT_EQ(runs[1].flops.total(), runs[2].flops.total());
}

// A layer with extents that share no factor, so that no product can stand in for another.
TEST(ModelCost, LayerByHand) {
  FunnelConfig config;
  config.width = config.embedding_width = 10;
  config.heads = 3;
  config.head_width = 7;
  config.inner = 11;
  config.blocks = {{1, 1}, {1, 1}};
  config.decoder = {0, 1};
  const auto runs = layer_runs(config, 13, PositionScores::shifted);  // 13 pooled to 7
  ASSERT_EQ(runs.size(), 2u);
  const LayerFlops& pooling = runs[1].flops;
  EXPECT_EQ(pooling.projections, 2 * 10 * 21 * (7 + 13 + 13 + 7));
  EXPECT_EQ(pooling.content, 2 * 7 * 13 * 21 * 2);
  EXPECT_EQ(pooling.position, 2 * 7 * (2 * 7 + 13) * 21);
  EXPECT_EQ(pooling.segment, 2 * 7 * 2 * 21);
  EXPECT_EQ(pooling.feed_forward, 2 * 7 * 10 * 11 * 2);
  EXPECT_EQ(runs[0].flops.position, 2 * 13 * (13 + 13) * 21);
}

}  // namespace
}  // namespace funnel
