// SPDX-License-Identifier: Apache-2.0
// What a run tells. Oracles: a JSON parser written elsewhere, for metrics.jsonl; the expected
// sentences, written out; a pseudo-terminal, for the progress line.
#include "launch/metrics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "data/durable_file.h"
#include "launch/reporter.h"
#include "tests/data/temporary_folder.h"

namespace funnel::testing {
namespace {

using Json = nlohmann::json;

StepReport electra_report() {
  return {.metrics = {.loss = 41.25,
                      .mlm_loss = 6.5,
                      .mlm_correct = 12,
                      .predictions = 48,
                      .discriminator_loss = 0.6953125,
                      .discriminator_correct = 150,
                      .original_tokens = 50,
                      .tokens = 200},
          .gradient_norm = 2.125,
          .learning_rate = 0.0003};
}

StepReport mlm_report() {
  return {
      .metrics = {.loss = 0.1 + 0.2, .mlm_loss = 0.1 + 0.2, .mlm_correct = 1, .predictions = 3}};
}

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::istringstream text(read_text_file(path));
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST(Metrics, Shares) {
  const PretrainMetrics metrics = electra_report().metrics;
  EXPECT_EQ(mlm_accuracy(metrics), 0.25);
  EXPECT_EQ(discriminator_accuracy(metrics), 0.75);
  EXPECT_EQ(majority_accuracy(metrics), 0.75);  // three of four were replaced
  EXPECT_EQ(mlm_accuracy({}), 0);
  EXPECT_EQ(discriminator_accuracy({}), 0);
}

TEST(MetricsFile, LinesAreJsonWithAllDigits) {
  const TemporaryFolder folder;
  MetricsFile file(folder / "metrics.jsonl", 0);
  const Speed speed{.step_seconds = 0.5,
                    .tokens_per_second = 1000,
                    .flops_per_second = 2e9,
                    .share_of_peak = 0.25,
                    .data_wait_share = 0.125};
  file.train(1, electra_report(), speed, 1.5);
  file.train(2, mlm_report(), speed, 2);
  file.eval(2, electra_report().metrics, 2.5);
  StepReport broken = electra_report();
  broken.metrics.loss = std::numeric_limits<double>::quiet_NaN();
  broken.skipped = true;
  file.train(3, broken, speed, 3);

  const std::vector<Json> lines = lines_of(folder / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 4u);
  const Json first = {{"kind", "train"},
                      {"step", 1},
                      {"loss", 41.25},
                      {"mlm_loss", 6.5},
                      {"mlm_accuracy", 0.25},
                      {"discriminator_loss", 0.6953125},
                      {"discriminator_accuracy", 0.75},
                      {"majority_accuracy", 0.75},
                      {"gradient_norm", 2.125},
                      {"learning_rate", 0.0003},
                      {"skipped", false},
                      {"tokens_per_second", 1000.0},
                      {"flops_per_second", 2e9},
                      {"share_of_peak", 0.25},
                      {"data_wait_share", 0.125},
                      {"seconds", 1.5}};
  EXPECT_EQ(lines[0], first);
  EXPECT_EQ(lines[1]["loss"].get<double>(), 0.1 + 0.2);
  EXPECT_FALSE(lines[1].contains("discriminator_loss"));  // MLM has none
  EXPECT_EQ(lines[2]["kind"], "eval");
  EXPECT_EQ(lines[2]["mlm_loss"], 6.5);
  EXPECT_FALSE(lines[2].contains("learning_rate"));
  EXPECT_TRUE(lines[3]["loss"].is_null());  // JSON has no NaN
  EXPECT_EQ(lines[3]["skipped"], true);
}

TEST(MetricsFile, DropsWhatALostLifeWrote) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.file("metrics.jsonl",
                                                 "{\"kind\":\"train\",\"step\":1}\n"
                                                 "{\"kind\":\"train\",\"step\":2}\n"
                                                 "{\"kind\":\"eval\",\"step\":2}\n"
                                                 "not JSON\n[3]\n{\"step\":\"two\"}\n{}\n"
                                                 "{\"kind\":\"train\",\"step\":3}\n"
                                                 "{\"kind\":\"train\",\"st");
  MetricsFile(path, 2).eval(3, {}, 0);
  const std::vector<Json> lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4u);
  const std::vector<int> steps{1, 2, 2, 3};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(lines[i]["step"], steps[i]);
}

TEST(MetricsFile, LeavesAFileAloneThatNeedsNothing) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.file("metrics.jsonl", "{\"step\":1}\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const auto written = std::filesystem::last_write_time(path);
  { const MetricsFile file(path, 1); }
  EXPECT_EQ(std::filesystem::last_write_time(path), written);
  EXPECT_EQ(read_text_file(path), "{\"step\":1}\n");
}

TEST(MetricsFile, SaysWhereItCannotWrite) {
  const TemporaryFolder folder;
  try {
    MetricsFile(folder / "missing" / "metrics.jsonl", 0);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("missing/metrics.jsonl"), std::string::npos);
  }
}

TEST(Sentences, OfASteps) {
  const Speed speed{.step_seconds = 2,
                    .tokens_per_second = 1234.4,
                    .flops_per_second = 31.04e9,
                    .share_of_peak = 0.257};
  EXPECT_EQ(describe_step(120, 300, electra_report(), speed),
            "step 120/300  loss 41.250  mlm 6.500 (25.0%)  disc 0.6953 (75.0%, majority 75.0%)  "
            "lr 0.0003  norm 2.12  1234 tok/s  31.0 GFLOP/s (26% of peak)  6:00 left");
  StepReport skipped = mlm_report();
  skipped.skipped = true;
  EXPECT_EQ(describe_step(1, 3601, skipped, speed),
            "step 1/3601  loss 0.300  mlm 0.300 (33.3%)  lr 0  norm 0  1234 tok/s  "
            "31.0 GFLOP/s (26% of peak)  2:00:00 left  SKIPPED: not finite");
  EXPECT_EQ(describe_eval(7, mlm_report().metrics),
            "held-out at step 7  loss 0.300  mlm 0.300 (33.3%)");
}

// metrics.jsonl must not show where lives ended.
TEST(Reporter, WritesTheFirstTheRegularAndTheLastStep) {
  const TemporaryFolder folder;
  RunConfig config;
  config.train.steps = 7;
  config.train.log_every_steps = 3;
  const auto live = [&](int64_t from, int64_t to) {
    Reporter reporter(config, folder / "metrics.jsonl", from, 1e9);
    reporter.start();
    for (int64_t step = from + 1; step <= to; ++step) {
      StepReport report = electra_report();
      report.stop = step == to;
      reporter.step(step, report, 0);
    }
  };
  live(0, 2);  // saved after step 2
  live(2, 5);  // killed after step 5, ...
  live(2, 4);  // ... so step 3 comes again
  live(4, 7);
  std::vector<int64_t> steps;
  for (const Json& line : lines_of(folder / "metrics.jsonl")) steps.push_back(line["step"]);
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 3, 6, 7}));
}

// Standard error in another place, for as long as this lives.
class RedirectedError {
 public:
  explicit RedirectedError(int target) : kept_(::dup(STDERR_FILENO)) {
    ::dup2(target, STDERR_FILENO);
  }
  ~RedirectedError() {
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
  }

 private:
  int kept_;
};

void show_two_lines(bool& on_terminal) {
  ProgressLine line;
  on_terminal = line.on_terminal();
  line.show("step 1");
  line.show(std::string(200, 'x'));
  line.finish();
  line.finish();
}

TEST(ProgressLine, RewritesItselfOnATerminal) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(master, 0);
  ASSERT_EQ(::grantpt(master), 0);
  ASSERT_EQ(::unlockpt(master), 0);
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  bool on_terminal = false;
  {
    const RedirectedError redirected(terminal);
    show_two_lines(on_terminal);
  }
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(::read(master, text.data(), text.size())));
  ::close(terminal);
  ::close(master);
  EXPECT_TRUE(on_terminal);
  // The size of this terminal is not known: 79 columns.
  EXPECT_EQ(text, "\r\033[Kstep 1\r\033[K" + std::string(79, 'x') + "\r\n");
}

TEST(ProgressLine, IsSilentElsewhere) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.file("stderr", "");
  const int file = ::open(path.c_str(), O_WRONLY);
  ASSERT_GE(file, 0);
  bool on_terminal = true;
  {
    const RedirectedError redirected(file);
    show_two_lines(on_terminal);
  }
  ::close(file);
  EXPECT_FALSE(on_terminal);
  EXPECT_EQ(read_text_file(path), "");
}

}  // namespace
}  // namespace funnel::testing
