// SPDX-License-Identifier: Apache-2.0
// Runs funnel-inspect on checkpoints made here. Oracles: what went in must be printed; a changed
// byte must be noticed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/checkpoint.h"
#include "launch/config.h"
#include "parallel/solo_comm.h"
#include "tests/tools/run_inspect.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

using testing::has_line;
using testing::inspect;
using testing::Outcome;

class InspectCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = fs::temp_directory_path() / concat("funnel-inspect-test-", getpid());
    for (int64_t step : {500, 1500}) {
      SoloComm comm;
      SaveOptions options;
      options.slice_elements = 1000;
      TrainingState state;
      state.run_id = "0123456789abcdef0123456789abcdef";
      state.step = step;
      state.samples = 16 * step;
      state.seed = 7;
      state.config_text = resolved_text(
          load_config(std::vector<fs::path>{fs::path(FUNNEL_CONFIGS_DIR) / "tiny.textproto"}));
      state.vocabulary_digest = std::string(64, 'd');
      state.layout = {{"embedding.table", {30, 40}, 0}, {"embedding.norm.gamma", {34}, 1200}};
      state.values = Tensor(values_.data(), {1234}, DType::f32);
      newest_ = save_checkpoint(comm, run_ / "checkpoints", state, options);
    }
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(run_, ignored);
  }

  std::vector<float> values_ = std::vector<float>(1234, 0.5f);
  fs::path run_;
  fs::path newest_;
};

TEST_F(InspectCheckpoint, PrintsTheNewestOfARun) {
  for (const fs::path& path : {run_, run_ / "checkpoints", newest_}) {
    const Outcome outcome = inspect("checkpoint " + path.string());
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    const std::string& text = outcome.output;
    EXPECT_EQ(text.rfind(newest_.string() + "\n", 0), 0u) << text;
    EXPECT_TRUE(has_line(text, "run", "0123456789abcdef0123456789abcdef")) << text;
    EXPECT_TRUE(has_line(text, "step", "1,500")) << text;
    EXPECT_TRUE(has_line(text, "examples seen", "24,000")) << text;
    EXPECT_TRUE(has_line(text, "seed", "7")) << text;
    EXPECT_TRUE(has_line(text, "model", "B1-1-1H64,")) << text;
    EXPECT_TRUE(has_line(text, "vocabulary SHA-256", std::string(64, 'd'))) << text;
    EXPECT_TRUE(has_line(text, "parameters", "1,234")) << text;
    EXPECT_TRUE(has_line(text, "kept of each", "values")) << text;
    EXPECT_TRUE(has_line(text, "files", "2")) << text;
    EXPECT_EQ(text.find("embedding.table"), std::string::npos) << text;
  }
}

TEST_F(InspectCheckpoint, PrintsParametersAndConfigurationWhenAsked) {
  const std::string text =
      inspect("checkpoint " + run_.string() + " --parameters --config --verify").output;
  EXPECT_TRUE(has_line(text, "embedding.table", "1,200")) << text;
  EXPECT_TRUE(has_line(text, "embedding.norm.gamma", "[34]")) << text;
  EXPECT_NE(text.find("optimizer {"), std::string::npos) << text;
  EXPECT_NE(text.find("Every file is as the manifest states."), std::string::npos) << text;
}

TEST_F(InspectCheckpoint, VerifyFindsAChangedByte) {
  fs::path slice;
  for (const auto& entry : fs::directory_iterator(newest_)) {
    if (entry.path().filename() != kManifestName) slice = entry.path();
  }
  const auto middle = static_cast<std::streamoff>(fs::file_size(slice) / 2);
  std::fstream file(slice, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(middle);
  const char changed = static_cast<char>(file.get() ^ 1);
  file.seekp(middle);
  file.put(changed);
  file.close();
  EXPECT_EQ(inspect("checkpoint " + newest_.string()).exit_code, 0);
  const Outcome outcome = inspect("checkpoint " + newest_.string() + " --verify");
  EXPECT_EQ(outcome.exit_code, 93) << outcome.output;
  EXPECT_NE(outcome.output.find(slice.filename().string()), std::string::npos) << outcome.output;
}

TEST_F(InspectCheckpoint, WrongPathsAreNamed) {
  const Outcome missing = inspect("checkpoint " + (run_ / "nowhere").string());
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.output.find("nowhere: expected a folder, found none"), std::string::npos)
      << missing.output;
  fs::create_directories(run_ / "empty");
  const Outcome empty = inspect("checkpoint " + (run_ / "empty").string());
  EXPECT_EQ(empty.exit_code, 2);
  EXPECT_NE(empty.output.find("expected a checkpoint such as"), std::string::npos) << empty.output;
  fs::remove(newest_ / kManifestName);
  EXPECT_EQ(inspect("checkpoint " + newest_.string()).exit_code, 93);
}

}  // namespace
}  // namespace funnel
