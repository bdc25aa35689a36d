// SPDX-License-Identifier: Apache-2.0
// Saving and loading on any number of ranks. Oracle: the bits of the state that was saved.
#include "launch/checkpoint.h"

#include "tests/launch/checkpoint_fixture.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {
namespace {

namespace fs = std::filesystem;

TEST_F(CheckpointTest, NothingSavedNothingLoaded) {
  SoloComm comm;
  OwnedState found;
  EXPECT_TRUE(load_newest_checkpoint(comm, folder_, found.state).path.empty());
  EXPECT_TRUE(load_newest_checkpoint(comm, root_ / "missing", found.state).path.empty());
}

TEST_F(CheckpointTest, RoundTrip) {
  const fs::path path = save(1000);
  EXPECT_EQ(path, folder_ / "step-00001000");
  EXPECT_EQ(names_in(folder_), std::vector<std::string>{"step-00001000"});
  EXPECT_EQ(names_in(path).size(), 9u);  // eight slices and the manifest
  EXPECT_EQ(expect_newest_is(1000).path, path);
}

TEST_F(CheckpointTest, AnyNumberOfRanksResumesAnyCheckpoint) {
  int64_t step = 0;
  std::vector<std::string> manifests;
  for (const int savers : {1, 2, 4, 16}) {
    OwnedState saved = OwnedState::at_step(7);
    const fs::path folder = root_ / concat("by-", savers);
    run_on_threads(savers, [&](Comm& comm) {
      const OwnedState mine = OwnedState::at_step(7);
      const fs::path path = save_checkpoint(comm, folder, mine.state, options());
      if (comm.rank() == 0) manifests.push_back(read_text_file(path / kManifestName));
    });
    for (const int loaders : {1, 3, 4}) {
      run_on_threads(loaders, [&](Comm& comm) {
        OwnedState found;
        load_newest_checkpoint(comm, folder, found.state);
        expect_same(found, saved);
      });
    }
    ++step;
  }
  // The manifests hold the digests of all files: equal down to the last byte.
  for (const std::string& manifest : manifests) EXPECT_EQ(manifest, manifests[0]);
}

TEST_F(CheckpointTest, TensorsThatAreNotAskedForAreCheckedOnly) {
  const fs::path path = save(5);
  SoloComm comm;
  TrainingState inspected;
  load_checkpoint(comm, path, inspected);
  EXPECT_EQ(inspected.step, 5);
  EXPECT_TRUE(inspected.layout == OwnedState().state.layout);

  OwnedState weights;
  weights.state.moment1 = {};
  weights.state.moment2 = {};
  load_checkpoint(comm, path, weights.state);
  const OwnedState expected = OwnedState::at_step(5);
  EXPECT_EQ(std::memcmp(weights.memory.data(), expected.memory.data(), kElements * sizeof(float)),
            0);
  EXPECT_EQ(weights.memory[kElements], 0.0f);
}

TEST_F(CheckpointTest, MomentsMayBeLeftOut) {
  SoloComm comm;
  OwnedState saved = OwnedState::at_step(3);
  saved.state.moment1 = {};
  saved.state.moment2 = {};
  const fs::path path = save_checkpoint(comm, folder_, saved.state, options());
  EXPECT_EQ(read_manifest(path).tensors, std::vector<std::string>{"values"});
  OwnedState found;
  try {
    load_checkpoint(comm, path, found.state);
    FAIL() << "moments were found";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("expected a tensor moment1, found none"),
              std::string::npos);
  }
}

TEST_F(CheckpointTest, AnotherModelOrVocabularyIsAnInputError) {
  const fs::path path = save(5);
  SoloComm comm;
  const auto message = [&](auto change) {
    OwnedState found;
    change(found.state);
    try {
      // Not damage: an older checkpoint would not help, so nothing falls back.
      load_newest_checkpoint(comm, folder_, found.state);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string file = (path / kManifestName).string();
  EXPECT_EQ(message([](TrainingState& state) {
              state.layout[1].shape = {5, 2, 7, 9};
            }),
            file +
                ": the checkpoint is of another model: parameter 1: expected layer.weight "
                "[5, 2, 7, 9] at 300, found layer.weight [2, 5, 7, 9] at 300");
  EXPECT_EQ(message([](TrainingState& state) { state.layout.pop_back(); }),
            file +
                ": the checkpoint is of another model: parameter 2: expected none, found b [70] "
                "at 930");
  EXPECT_EQ(message([](TrainingState& state) { state.vocabulary_digest = "d2"; }),
            file + ": vocabulary_sha256: expected d2 of the data's vocabulary, found d1");
  EXPECT_EQ(message([](TrainingState& state) { state.values = state.values.slice(0, {999}); }),
            file + ": values: expected 999 elements, found 1000");
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  for (int64_t step = 1; step <= 5; ++step) save(step * 10);
  EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"step-00000040", "step-00000050"}));
  SoloComm comm;
  SaveOptions three = options();
  three.keep_last = 3;
  save_checkpoint(comm, folder_, OwnedState::at_step(60).state, three);
  EXPECT_EQ(list_checkpoints(folder_).size(), 3u);
  EXPECT_EQ(list_checkpoints(folder_)[0].filename(), "step-00000060");
  three.keep_last = 1;
  EXPECT_THROW(save_checkpoint(comm, folder_, OwnedState::at_step(70).state, three), Error);
}

TEST_F(CheckpointTest, TheSameStepIsReplaced) {
  save(10);
  SoloComm comm;
  OwnedState other = OwnedState::at_step(11);
  other.state.step = 10;
  save_checkpoint(comm, folder_, other.state, options());
  EXPECT_EQ(names_in(folder_), std::vector<std::string>{"step-00000010"});
  OwnedState found;
  load_newest_checkpoint(comm, folder_, found.state);
  expect_same(found, other);
}

TEST_F(CheckpointTest, NamesAreStrict) {
  EXPECT_EQ(checkpoint_name(1000), "step-00001000");
  EXPECT_EQ(step_of("x/step-00001000"), 1000);
  EXPECT_EQ(step_of(checkpoint_name(1'234'567'890'123)), 1'234'567'890'123);
  for (const char* name :
       {"step-1000", "step-0000100x", "step-", "stop-00001000", ".tmp-step-00001000",
        "step-00001000~", "damaged-step-00001000", "step--0001000"}) {
    EXPECT_EQ(step_of(name), -1) << name;
  }
}

TEST_F(CheckpointTest, LeftoversOfDeadRunsAreCleared) {
  save(10);
  fs::create_directories(folder_ / ".tmp-step-00000020");
  overwrite(folder_ / ".tmp-step-00000020" / "slice-00000.h5", "half");
  fs::create_directories(folder_ / "notes");
  recover_checkpoint_folder(folder_);
  EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"notes", "step-00000010"}));

  // Killed between the two renames of a replacement, and after both.
  fs::rename(folder_ / "step-00000010", folder_ / ".replaced-step-00000010");
  recover_checkpoint_folder(folder_);
  expect_newest_is(10);
  fs::copy(folder_ / "step-00000010", folder_ / ".replaced-step-00000010");
  recover_checkpoint_folder(folder_);
  EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"notes", "step-00000010"}));
}

}  // namespace
}  // namespace funnel::testing
