// SPDX-License-Identifier: Apache-2.0
// Oracles: the published generator sizes and layout names; lengths worked out by hand from the
// pooling rules of laiguokun/Funnel-Transformer; every rule of validate() broken once.
#include "core/model/model_config.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "tests/model/paper_models.h"

namespace funnel {
namespace {

using testing::network_of;
using testing::paper_model;
using testing::paper_models;
using testing::pretrain_of;

// The message of the input error that f throws; fails the test if it throws none.
std::string input_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(ModelConfig, PaperModelsAreValidAndNamed) {
  for (const auto& model : paper_models()) {
    const PretrainConfig config = pretrain_of(model, Objective::electra);
    EXPECT_NO_THROW(validate(config)) << model.name;
    EXPECT_EQ(layout_name(config.model), model.name);
  }
}

TEST(ModelConfig, GeneratorKeepsTheLayoutAtAQuarterOfTheWidth) {
  const FunnelConfig base =
      generator_config(pretrain_of(paper_model("B6-3x2-3x2H768"), Objective::electra));
  EXPECT_EQ(base.width, 192);
  EXPECT_EQ(base.inner, 768);
  EXPECT_EQ(base.heads, 3);
  EXPECT_EQ(base.head_width, 64);
  EXPECT_EQ(base.embedding_width, 768);
  EXPECT_EQ(layout_name(base), "B6-3x2-3x2H192");
  EXPECT_EQ(base.decoder, (BlockConfig{2, 1}));

  const FunnelConfig large =
      generator_config(pretrain_of(paper_model("L24H1024"), Objective::electra));
  EXPECT_EQ(large.width, 256);
  EXPECT_EQ(large.inner, 1024);
  EXPECT_EQ(large.heads, 4);
  EXPECT_EQ(large.embedding_width, 1024);
}

TEST(ModelConfig, GeneratorTruncatesEachExtent) {
  PretrainConfig config = pretrain_of(paper_model("L12H768"), Objective::electra);
  config.generator_width_ratio = 0.3;  // 230.4, 921.6 and 3.6
  const FunnelConfig generator = generator_config(config);
  EXPECT_EQ(generator.width, 230);
  EXPECT_EQ(generator.inner, 921);
  EXPECT_EQ(generator.heads, 3);
}

TEST(ModelConfig, BlockLengths) {
  FunnelConfig config = network_of(paper_model("B4-4-4H768"));
  using Lengths = std::vector<int64_t>;
  EXPECT_EQ(block_lengths(config, 512), (Lengths{512, 256, 128}));
  EXPECT_EQ(block_lengths(config, 128), (Lengths{128, 64, 32}));
  EXPECT_EQ(block_lengths(config, 9), (Lengths{9, 5, 3}));
  EXPECT_EQ(block_lengths(config, 11), (Lengths{11, 6, 3}));
  config.truncate_seq = false;
  EXPECT_EQ(block_lengths(config, 512), (Lengths{512, 257, 129}));
  EXPECT_EQ(block_lengths(config, 128), (Lengths{128, 65, 33}));
  EXPECT_EQ(block_lengths(config, 12), (Lengths{12, 7, 4}));
  config.separate_cls = false;
  EXPECT_EQ(block_lengths(config, 512), (Lengths{512, 256, 128}));
  EXPECT_EQ(block_lengths(config, 7), (Lengths{7, 4, 2}));
  config.blocks = {{4, 1}};
  EXPECT_EQ(block_lengths(config, 7), (Lengths{7}));
}

TEST(ModelConfig, RejectsEachFieldOutOfRange) {
  struct Case {
    const char* field;
    std::function<void(FunnelConfig&)> spoil;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Case> cases{
      {"model.vocab_size", [](FunnelConfig& c) { c.vocab = 0; }},
      {"model.embedding_width", [](FunnelConfig& c) { c.embedding_width = 0; }},
      {"model.width", [](FunnelConfig& c) { c.width = 0; }},
      {"model.width", [](FunnelConfig& c) { c.width = 767; }},
      {"model.width", [](FunnelConfig& c) { c.width = int64_t{1} << 40; }},
      {"model.heads", [](FunnelConfig& c) { c.heads = -1; }},
      {"model.head_width", [](FunnelConfig& c) { c.head_width = 0; }},
      {"model.heads * model.head_width", [](FunnelConfig& c) { c.heads = c.head_width = 1 << 20; }},
      {"model.inner", [](FunnelConfig& c) { c.inner = 0; }},
      {"model.blocks", [](FunnelConfig& c) { c.blocks.clear(); }},
      {"model.blocks", [](FunnelConfig& c) { c.blocks[1].layers = 0; }},
      {"model.blocks", [](FunnelConfig& c) { c.blocks[2].repeats = 0; }},
      {"model.decoder", [](FunnelConfig& c) { c.decoder.layers = -1; }},
      {"model.decoder", [](FunnelConfig& c) { c.blocks.resize(1); }},
      {"model.hidden_dropout", [](FunnelConfig& c) { c.hidden_dropout = 1; }},
      {"model.attention_dropout", [](FunnelConfig& c) { c.attention_dropout = -0.1; }},
      {"model.activation_dropout", [=](FunnelConfig& c) { c.activation_dropout = nan; }},
      {"model.layer_norm_epsilon", [](FunnelConfig& c) { c.layer_norm_epsilon = 0; }},
      {"model.init_std", [=](FunnelConfig& c) { c.init_std = nan; }},
  };
  for (const Case& wrong : cases) {
    FunnelConfig config = network_of(paper_model("B4-4-4H768"));
    wrong.spoil(config);
    const std::string message = input_error([&] { validate(config); });
    EXPECT_EQ(message.rfind(wrong.field, 0), 0u) << message;
    EXPECT_NE(message.find("found"), std::string::npos) << message;
  }
}

TEST(ModelConfig, HeadsNeedNotFillTheWidth) {
  FunnelConfig config = network_of(paper_model("B4-4-4H768"));
  config.heads = 5;
  EXPECT_NO_THROW(validate(config));
}

TEST(ModelConfig, RejectsAGeneratorWithoutHeads) {
  PretrainConfig config = pretrain_of(paper_model("B4-4-4H768"), Objective::electra);
  config.model.heads = 3;
  const std::string message = input_error([&] { validate(config); });
  EXPECT_NE(message.find("leaves 0 of 3 heads"), std::string::npos) << message;
  config.objective = Objective::mlm;  // which has no generator
  EXPECT_NO_THROW(validate(config));
}

TEST(ModelConfig, RejectsObjectiveOutOfRange) {
  for (const double ratio : {0.0, -0.25, 1.5}) {
    PretrainConfig config = pretrain_of(paper_model("L12H768"), Objective::electra);
    config.generator_width_ratio = ratio;
    EXPECT_NE(input_error([&] { validate(config); }).find("generator_width_ratio"),
              std::string::npos);
  }
  PretrainConfig config = pretrain_of(paper_model("L12H768"), Objective::electra);
  config.discriminator_weight = -1;
  EXPECT_NE(input_error([&] { validate(config); }).find("discriminator_weight"), std::string::npos);
}

}  // namespace
}  // namespace funnel
