// SPDX-License-Identifier: Apache-2.0
// A small state of training in a folder of its own, for the tests of checkpoints.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "data/durable_file.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_folder.h"
#include "parallel/solo_comm.h"

namespace funnel::testing {

constexpr int64_t kElements = 1000;

// A state that owns its tensors. Every step has other bits everywhere.
struct OwnedState {
  std::vector<float> memory = std::vector<float>(3 * kElements);
  TrainingState state;

  OwnedState() {
    const auto tensor = [&](int64_t i) {
      return Tensor(memory.data() + i * kElements, {kElements}, DType::f32);
    };
    state.values = tensor(0);
    state.moment1 = tensor(1);
    state.moment2 = tensor(2);
    state.run_id = "0123456789abcdef0123456789abcdef";
    state.vocabulary_digest = "d1";
    state.layout = {
        {"embedding", {30, 10}, 0}, {"layer.weight", {2, 5, 7, 9}, 300}, {"b", {70}, 930}};
  }

  static OwnedState at_step(int64_t step) {
    OwnedState owned;
    owned.state.step = step;
    owned.state.samples = step * 256;
    owned.state.seed = 0xfedcba9876543210ull + static_cast<uint64_t>(step);
    owned.state.config_text = concat("steps: 100\nname: \"a \\\" and \t b\"  # ", step, "\n");
    for (size_t i = 0; i < owned.memory.size(); ++i) {
      const uint32_t bits =
          static_cast<uint32_t>(Site::mix(i * 1009 + static_cast<uint64_t>(step)));
      std::memcpy(&owned.memory[i], &bits, sizeof(bits));  // every pattern, NaNs too
    }
    return owned;
  }
};

inline void expect_same(const OwnedState& found, const OwnedState& expected) {
  EXPECT_EQ(found.state.run_id, expected.state.run_id);
  EXPECT_EQ(found.state.step, expected.state.step);
  EXPECT_EQ(found.state.samples, expected.state.samples);
  EXPECT_EQ(found.state.seed, expected.state.seed);
  EXPECT_EQ(found.state.config_text, expected.state.config_text);
  EXPECT_EQ(found.state.vocabulary_digest, expected.state.vocabulary_digest);
  EXPECT_TRUE(found.state.layout == expected.state.layout);
  EXPECT_EQ(std::memcmp(found.memory.data(), expected.memory.data(),
                        expected.memory.size() * sizeof(float)),
            0)
      << "step " << expected.state.step;
}

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "funnel-checkpoint-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    folder_ = root_ / "checkpoints";
    recover_checkpoint_folder(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Eight slices.
  static SaveOptions options() {
    SaveOptions options;
    options.slice_elements = 128;
    return options;
  }

  std::filesystem::path save(int64_t step) {
    SoloComm comm;
    return save_checkpoint(comm, folder_, OwnedState::at_step(step).state, options());
  }

  // The state of the newest whole checkpoint must be that of `step`.
  Resumed expect_newest_is(int64_t step) {
    SoloComm comm;
    OwnedState found;
    const Resumed resumed = load_newest_checkpoint(comm, folder_, found.state);
    expect_same(found, OwnedState::at_step(step));
    return resumed;
  }

  // What loading says about a checkpoint; empty if nothing is wrong. Damage has its exit code.
  static std::string damage_of(const std::filesystem::path& checkpoint) {
    SoloComm comm;
    OwnedState found;
    try {
      load_checkpoint(comm, checkpoint, found.state);
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kNeedsHuman) << error.what();
      return error.what();
    }
  }

  static std::vector<std::string> names_in(const std::filesystem::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  static void overwrite(const std::filesystem::path& path, const std::string& bytes) {
    std::filesystem::remove(path);  // some file systems sync a file that is cut and written again
    std::ofstream(path, std::ios::binary) << bytes;
  }

  std::filesystem::path root_;
  std::filesystem::path folder_;
};

}  // namespace funnel::testing
