// SPDX-License-Identifier: Apache-2.0
// Runs funnel-inspect on run folders made here, with metrics written by the trainer's own writer.
// Oracle: the numbers that went in.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_manifest.h"
#include "launch/config.h"
#include "launch/metrics.h"
#include "parallel/solo_comm.h"
#include "tests/tools/run_inspect.h"
#include "tools/funnel_inspect/metrics_history.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

using testing::has_line;
using testing::inspect;
using testing::Outcome;

constexpr PretrainMetrics kElectraMetrics[] = {
    {.loss = 40.25,
     .mlm_loss = 5.75,
     .mlm_correct = 0,
     .predictions = 160,
     .discriminator_loss = 0.69,
     .discriminator_correct = 500,
     .original_tokens = 850,
     .tokens = 1000},
    {.loss = 20.125,
     .mlm_loss = 3.5,
     .mlm_correct = 40,
     .predictions = 160,
     .discriminator_loss = 0.3325,
     .discriminator_correct = 912,
     .original_tokens = 900,
     .tokens = 1000},
};

class InspectRun : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = fs::temp_directory_path() / concat("funnel-inspect-run-test-", getpid());
    fs::create_directories(run_);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(run_, ignored);
  }

  void write_config(std::vector<std::string> overrides) {
    overrides.push_back("model.vocab_size=300");
    const fs::path tiny = fs::path(FUNNEL_CONFIGS_DIR) / "tiny.textproto";
    config_ = load_config(std::vector<fs::path>{tiny}, overrides);
    std::ofstream(run_ / "config.textproto") << resolved_text(config_);
  }

  // Three lines of training, of which the middle one is the fastest, and two of evaluation.
  void write_metrics(const PretrainMetrics& first, const PretrainMetrics& last) {
    MetricsFile file(metrics(), 0);
    const auto train = [&](int64_t step, const PretrainMetrics& metrics, double speed) {
      file.train(step, {.metrics = metrics},
                 {.step_seconds = 1,
                  .tokens_per_second = 1000 * speed,
                  .flops_per_second = 1e9 * speed,
                  .share_of_peak = 0.1 * speed,
                  .data_wait_share = 0.01 * speed},
                 1);
    };
    train(1, first, 2);
    train(50, first, 4);
    file.eval(50, first, 1);
    train(100, last, 3);
    file.eval(100, last, 1);
  }

  void save(int64_t step) {
    SoloComm comm;
    TrainingState state{.run_id = "0123456789abcdef0123456789abcdef",
                        .step = step,
                        .samples = 16 * step,
                        .seed = 7,
                        .config_text = resolved_text(config_),
                        .vocabulary_digest = std::string(64, 'd'),
                        .layout = {{"embedding.table", {30, 40}, 0}},
                        .values = Tensor(values_.data(), {1200}, DType::f32),
                        .moment1 = {},
                        .moment2 = {}};
    save_checkpoint(comm, run_ / "checkpoints", state);
  }

  fs::path metrics() const { return run_ / "metrics.jsonl"; }

  std::string report(const std::string& more = "") const {
    const Outcome outcome = inspect("run " + run_.string() + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    return outcome.output;
  }

  std::vector<float> values_ = std::vector<float>(1200, 0.5f);
  RunConfig config_;
  fs::path run_;
};

TEST_F(InspectRun, PrintsWhatAnElectraRunLearned) {
  write_config({});
  write_metrics(kElectraMetrics[0], kElectraMetrics[1]);
  save(50);
  save(100);
  const std::string text = report();
  EXPECT_EQ(text.rfind(run_.string() + ": B1-1-1H64, ELECTRA, vocabulary 300", 0), 0u) << text;
  EXPECT_TRUE(has_line(text, "steps done", "100 of 100, which saw 1,600")) << text;
  EXPECT_TRUE(has_line(text, "after step", "1       100        50       100")) << text;
  for (const char* value : {"40.2500", "20.1250"}) {
    EXPECT_TRUE(has_line(text, "loss (generator + 50 x discriminator)", value)) << text;
  }
  EXPECT_TRUE(has_line(text, "generator loss", "5.7500")) << text;
  EXPECT_TRUE(has_line(text, "generator loss", "3.5000")) << text;
  EXPECT_TRUE(has_line(text, "generator: tokens predicted right", "0.0 %")) << text;
  EXPECT_TRUE(has_line(text, "generator: tokens predicted right", "25.0 %")) << text;
  EXPECT_TRUE(has_line(text, "discriminator loss", "0.3325")) << text;
  EXPECT_TRUE(has_line(text, "discriminator: tokens judged right", "50.0 %")) << text;
  EXPECT_TRUE(has_line(text, "discriminator: tokens judged right", "91.2 %")) << text;
  EXPECT_NE(text.find("1.2 points better than always giving the commoner answer, on held-out"),
            std::string::npos)
      << text;
  EXPECT_TRUE(has_line(text, "tokens/s", "3,000\n")) << text;
  EXPECT_TRUE(has_line(text, "waited for data", "3.0 %\n")) << text;
  EXPECT_NE(text.find("of the CPU's peak 30.0 %\n"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "newest", (run_ / "checkpoints/step-00000100").string() + "\n"))
      << text;
  EXPECT_TRUE(has_line(text, "holds", "step 100, 1,200 parameters,")) << text;
  EXPECT_NE(text.find("funnel-pretrain --config " + (run_ / "config.textproto").string() +
                      " --set train.steps=200 --data DATA --run " + run_.string() + "\n"),
            std::string::npos)
      << text;
}

TEST_F(InspectRun, AnMlmRunHasNoDiscriminator) {
  write_config({"objective.kind=MLM", "train.steps=1000"});
  write_metrics({.loss = 5.75, .mlm_loss = 5.75, .mlm_correct = 8, .predictions = 160},
                {.loss = 2.5, .mlm_loss = 2.5, .mlm_correct = 80, .predictions = 160});
  const std::string text = report();
  EXPECT_TRUE(has_line(text, "loss", "5.7500    2.5000    5.7500    2.5000\n")) << text;
  EXPECT_TRUE(has_line(text, "tokens predicted right", "50.0 %")) << text;
  EXPECT_EQ(text.find("discriminator"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "steps done", "100 of 1,000,")) << text;
  EXPECT_NE(text.find("\nCheckpoint\n  none yet\n"), std::string::npos) << text;
  EXPECT_TRUE(has_line(text, "resume", "--data DATA")) << text;
  EXPECT_EQ(text.find("train.steps="), std::string::npos) << text;
}

TEST_F(InspectRun, ReadsARunAtWork) {
  write_config({});
  EXPECT_NE(report().find("No step has been logged yet."), std::string::npos);

  PretrainMetrics lost = kElectraMetrics[1];
  lost.loss = std::numeric_limits<double>::quiet_NaN();
  {
    MetricsFile file(metrics(), 0);
    file.train(1, {.metrics = kElectraMetrics[0]}, {.tokens_per_second = 7000}, 1);
    file.train(5, {.metrics = lost, .skipped = true}, {.tokens_per_second = 7000}, 1);
  }
  std::ofstream(metrics(), std::ios::app) << R"({"kind":"train","st)";
  const std::string text = report();
  EXPECT_TRUE(has_line(text, "after step", "5\n")) << text;
  EXPECT_TRUE(has_line(text, "loss (generator + 50 x discriminator)", "not finite\n")) << text;
  EXPECT_NE(text.find("1 of these steps were skipped"), std::string::npos) << text;
  EXPECT_NE(text.find("(no held-out evaluation yet)"), std::string::npos) << text;
}

TEST_F(InspectRun, PassesOverADamagedCheckpoint) {
  write_config({});
  save(50);
  save(100);
  std::ofstream(run_ / "checkpoints/step-00000100" / kManifestName, std::ios::app) << "x";
  const std::string text = report();
  EXPECT_TRUE(has_line(text, "newest", (run_ / "checkpoints/step-00000050").string() + "\n"))
      << text;
  EXPECT_TRUE(has_line(text, "steps done", "50 of 100,")) << text;
  EXPECT_NE(text.find("passed over"), std::string::npos) << text;
}

TEST_F(InspectRun, WrongFoldersAreNamed) {
  const auto expect_error = [&](const fs::path& path, const std::string& reason) {
    const Outcome outcome = inspect("run " + path.string());
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_NE(outcome.output.find(reason), std::string::npos) << outcome.output;
  };
  expect_error(run_ / "nowhere", "nowhere: expected a run folder, found none");
  expect_error(run_, "expected a run folder made by funnel-pretrain, found no config.textproto");
  write_config({});
  expect_error(run_ / "config.textproto", "expected a run folder, found a file");
  std::ofstream(metrics()) << "{\"kind\":\"train\",\"step\":1}\nloss 3\n{}\n";
  expect_error(run_, "metrics.jsonl:2: expected a JSON object with kind and step, found loss 3");
}

TEST(MetricsHistory, MedianLeavesOutWhatIsMissing) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<MetricsLine> lines{{.step = 1, .numbers = {{"a", 5}}},
                                       {.step = 2, .numbers = {{"a", nan}}},
                                       {.step = 3, .numbers = {{"b", 7}}},
                                       {.step = 4, .numbers = {{"a", 1}}},
                                       {.step = 5, .numbers = {{"a", 3}}}};
  EXPECT_EQ(median(lines, "a"), 3);
  EXPECT_EQ(median(lines, "b"), 7);
  EXPECT_EQ(median(lines, "c"), std::nullopt);
}

}  // namespace
}  // namespace funnel
