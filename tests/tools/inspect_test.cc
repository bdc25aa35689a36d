// SPDX-License-Identifier: Apache-2.0
// Runs the funnel-inspect program. Oracles: the counts of tests/model/paper_models.h, found in what
// it prints; its exit codes.
#include <gtest/gtest.h>

#include <string>

#include "core/model/model_memory.h"
#include "tests/model/paper_models.h"
#include "tests/tools/run_inspect.h"
#include "tools/funnel_inspect/table.h"

namespace funnel {
namespace {

using testing::has_line;
using testing::inspect;
using testing::Outcome;

std::string config(const std::string& name) {
  return std::string("--config ") + FUNNEL_CONFIGS_DIR + "/" + name + ".textproto";
}

TEST(Inspect, CountsOfEveryPaperModel) {
  for (const auto& model : testing::paper_models()) {
    const Outcome outcome = inspect("model " + config("electra-" + model.name));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    const std::string& text = outcome.output;
    EXPECT_EQ(text.rfind(model.name + ", ELECTRA, vocabulary 30,522 (assumed", 0), 0u) << text;
    EXPECT_TRUE(has_line(text, "encoder", grouped(model.encoder))) << text;
    if (model.blocks.size() > 1) {
      EXPECT_TRUE(has_line(text, "encoder + decoder", grouped(model.network))) << text;
    }
    EXPECT_TRUE(has_line(text, "generator beside the shared embedding", grouped(model.generator)))
        << text;
    EXPECT_TRUE(has_line(text, "trained in total", grouped(model.electra))) << text;
  }
}

TEST(Inspect, OperationsAndRatios) {
  const std::string text = inspect("model " + config("electra-B4-4-4H768")).output;
  EXPECT_TRUE(has_line(text, "forward", "90.28")) << text;  // 90.3 in the paper's setting
  EXPECT_TRUE(has_line(text, "forward and backward", "270.83")) << text;
  EXPECT_NE(text.find("Against L12H768"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "operations", "0.570")) << text;
  EXPECT_TRUE(has_line(text, "operations without position scores", "0.581")) << text;
  EXPECT_TRUE(
      has_line(text, "layers x share of positions x width^2 (the paper's figures)", "0.583"))
      << text;
  EXPECT_TRUE(
      has_line(text, "layers x share of positions x width^2 (the paper's figures)", "0.750"))
      << text;
}

TEST(Inspect, OptionsChangeTheModelTheStepAndTheBaseline) {
  const std::string text =
      inspect("model " + config("electra-B4-4-4H768") +
              " --set objective.kind=mlm --set model.vocab_size=30522 --seq-len 128 --batch 7"
              " --baseline L6H768")
          .output;
  EXPECT_EQ(text.rfind("B4-4-4H768, MLM, vocabulary 30,522\n", 0), 0u) << text;
  EXPECT_TRUE(has_line(text, "trained in total", "131,595,834")) << text;
  EXPECT_NE(text.find("One step of 7 sequences of 128 with 21 predictions each"), std::string::npos)
      << text;
  EXPECT_NE(text.find("Against L6H768"), std::string::npos) << text;

  const std::string merged = inspect("model " + config("electra-L6H768") + " " + config("tiny") +
                                     " --set model.blocks=3,2x2 --set model.decoder=2")
                                 .output;
  EXPECT_EQ(merged.rfind("B3-2x2H64, ELECTRA", 0), 0u) << merged;
  EXPECT_NE(merged.find("MFLOP/sequence"), std::string::npos) << merged;
}

// The counts are held to real passes in tests/model; here, that they stand where they belong.
TEST(Inspect, MemoryOfAMicroBatchAndOfARank) {
  const std::string text = inspect("model " + config("electra-B4-4-4H768") +
                                   " --batch 64 --ranks 8 --set train.logical_shards=32")
                               .output;
  const PretrainConfig model =
      testing::pretrain_of(testing::paper_model("B4-4-4H768"), Objective::electra);
  const SavedMemory saved = saved_memory(model, {.batch = 2, .seq = 512, .predictions = 85});
  EXPECT_NE(text.find("one micro-batch of 2 sequences of 512 in f32, in bytes"), std::string::npos);
  EXPECT_TRUE(has_line(text, "block 1", grouped(saved.network.layers[0].one))) << text;
  EXPECT_TRUE(has_line(text, "block 1", grouped(saved.generator.layers[0].total()))) << text;
  EXPECT_TRUE(has_line(text, "block 3, pooling layer", grouped(saved.network.layers[3].one)));
  EXPECT_TRUE(has_line(text, "decoder", grouped(saved.network.layers[5].total()))) << text;
  EXPECT_TRUE(has_line(text, "head", grouped(saved.generator_head))) << text;

  const int64_t flat = 4 * flat_elements(model);
  EXPECT_NE(text.find("Memory of a rank with 4 of 32 logical shards"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "weights", grouped(flat) + '\n')) << text;
  EXPECT_TRUE(has_line(text, "partial sums of gradients over shards", grouped(2 * flat) + '\n'));
  EXPECT_TRUE(has_line(text, "kept activations", grouped(saved.total()) + '\n')) << text;
  EXPECT_TRUE(has_line(text, "a rank needs, beside scratch", grouped(6 * flat + saved.total())))
      << text;
}

TEST(Inspect, MemoryFollowsThePrecision) {
  const PretrainConfig model =
      testing::pretrain_of(testing::paper_model("B4-4-4H768"), Objective::electra);
  const SavedMemory saved =
      saved_memory(model, {.batch = 2, .seq = 512, .predictions = 85, .dtype = DType::bf16});
  for (const char* choice : {"precision=bf16", "device=cuda"}) {
    const std::string text = inspect("model " + config("electra-B4-4-4H768") +
                                     " --batch 64 --set train.logical_shards=32 --set " + choice)
                                 .output;
    EXPECT_NE(text.find("one micro-batch of 2 sequences of 512 in bf16"), std::string::npos);
    EXPECT_TRUE(has_line(text, "weights in bf16", grouped(2 * flat_elements(model)))) << text;
    EXPECT_TRUE(has_line(text, "kept activations", grouped(saved.total()) + '\n')) << text;
  }
}

TEST(Inspect, SizesInWords) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(1023), "1023 bytes");
  EXPECT_EQ(size_text(1536), "1.50 KiB");
  EXPECT_EQ(size_text(int64_t{5} << 40), "5.00 TiB");
}

TEST(Inspect, ABaselineMayBeAConfigFile) {
  const std::string text = inspect("model " + config("electra-B10-10-10H1024") + " --baseline " +
                                   FUNNEL_CONFIGS_DIR + "/electra-B10-10-10H1024.textproto")
                               .output;
  EXPECT_NE(text.find("Against B10-10-10H1024"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "operations", "1.000")) << text;
}

TEST(Inspect, WrongUseExitsWith2AndSaysWhy) {
  const auto expect_usage_error = [](const std::string& arguments, const std::string& reason) {
    const Outcome outcome = inspect(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_NE(outcome.output.find(reason), std::string::npos) << outcome.output;
  };
  expect_usage_error("", "subcommand");
  expect_usage_error("model", "--config");
  expect_usage_error("model --config nowhere.textproto", "cannot read the config file nowhere");
  expect_usage_error("model " + config("tiny") + " --set train.step=3", "closest: train.steps");
  expect_usage_error("model " + config("tiny") + " --seq-len 4", "data.seq_len");
  expect_usage_error("model " + config("tiny") + " --seq-len none", "--seq-len");
  expect_usage_error("model " + config("tiny") + " --batch 0", "--batch");
  expect_usage_error("model " + config("tiny") + " --ranks 3", "a power of two, found 3");
  expect_usage_error("model " + config("tiny") + " --ranks 8", "at most the 4 logical shards");
  expect_usage_error("model " + config("tiny") + " --baseline L12", "--baseline");
  expect_usage_error("model " + config("tiny") + " --baseline L0H64", "model.blocks");
}

TEST(Inspect, HelpNamesEveryOption) {
  const Outcome outcome = inspect("model --help");
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* option :
       {"--config", "--set", "--seq-len", "--batch", "--ranks", "--baseline"}) {
    EXPECT_NE(outcome.output.find(option), std::string::npos) << option;
  }
}

}  // namespace
}  // namespace funnel
