// SPDX-License-Identifier: Apache-2.0
// A run inside this process. Oracles: exit codes and sentences that trainer.h and the design of
// the data promise, and an undisturbed run for a stopped one.
#include "launch/trainer.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "data/durable_file.h"
#include "launch/checkpoint_folder.h"
#include "launch/checkpoint_manifest.h"
#include "launch/signals.h"
#include "parallel/together.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"
#include "tests/launch/learner_fixture.h"

namespace funnel::testing {
namespace {

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() : config_(small_run(Objective::electra)) {
    write_numbered_data(folder_ / "data", 24, 16, 40, 8, 16);
    config_.train.steps = 6;
    config_.train.eval_every_steps = 2;
    config_.train.eval_batches = 1;
    config_.train.save_every_steps = 3;
    config_.train.log_every_steps = 1;
  }
  ~TrainerTest() override { clear_stop_request(); }

  RunPaths paths(const std::string& run) const { return {{{folder_ / "data"}}, folder_ / run}; }

  ExitCode train(const std::string& run, int ranks = 1) {
    std::vector<ExitCode> codes(ranks);
    run_on_threads(ranks, [&](Comm& comm) {
      Trainer trainer(comm, config_, paths(run));
      codes[comm.rank()] = trainer.run();
    });
    for (const ExitCode code : codes) EXPECT_EQ(code, codes[0]);
    return codes[0];
  }

  // The Error that building or running a trainer ends with.
  Error failure(const std::string& run) {
    try {
      SoloComm solo;
      Trainer(solo, config_, paths(run)).run();
    } catch (const Error& error) {
      return error;
    }
    return Error("no failure", ExitCode::kDone);
  }

  std::vector<std::string> slice_digests(const std::string& run, int64_t step) {
    const auto manifest = read_manifest(folder_ / run / "checkpoints" / checkpoint_name(step));
    std::vector<std::string> digests;
    for (const SliceEntry& slice : manifest.slices) digests.push_back(slice.sha256);
    return digests;
  }

  // Runs whose states are compared bear the same id.
  void give_id(const std::string& run) {
    folder_.file(run + "/run_id", "0123456789abcdef0123456789abcdef\n");
  }

  TemporaryFolder folder_;
  RunConfig config_;
};

TEST_F(TrainerTest, AStoppedRunEndsAsOneThatWasNot) {
  for (const char* run : {"whole", "stopped"}) give_id(run);
  EXPECT_EQ(train("whole"), ExitCode::kDone);
  catch_stop_signals();
  for (int64_t step = 1; step < 6; ++step) {
    ::raise(SIGUSR1);  // wanted before the step, obeyed after it
    EXPECT_EQ(train("stopped", step % 2 == 0 ? 1 : 2), ExitCode::kSaved);
    EXPECT_EQ(list_checkpoints(folder_ / "stopped" / "checkpoints")[0].filename(),
              checkpoint_name(step));
  }
  EXPECT_EQ(train("stopped", 4), ExitCode::kDone);  // the last step ends the run, stop or not
  clear_stop_request();
  EXPECT_EQ(slice_digests("stopped", 6), slice_digests("whole", 6));
}

TEST_F(TrainerTest, TooManyStepsThatAreNotFinite) {
  config_.optimizer.learning_rate = 3e38;  // the first step throws the weights out of range
  config_.optimizer.warmup_steps = 0;
  config_.train.steps = 1000;
  config_.train.save_every_steps = 0;
  config_.train.eval_every_steps = 0;
  config_.train.max_nonfinite_steps = 3;
  EXPECT_EQ(train("run", 2), ExitCode::kNeedsHuman);
  const std::string log = read_text_file(folder_ / "run" / "log.txt");
  EXPECT_NE(log.find("4 steps in a row were not finite (train.max_nonfinite_steps is 3)"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("step 5 was skipped: a loss or gradient is not finite"), std::string::npos);
  EXPECT_EQ(log.find("step 6 "), std::string::npos);
}

// An id that the vocabulary does not have, written by a program that is not ours.
TEST_F(TrainerTest, AnIdBeyondTheVocabularyIsFoundAtFirstTouch) {
  std::filesystem::remove_all(folder_ / "data");
  const Vocabulary vocabulary = vocabulary_of_size(40);
  ShardWriter writer(folder_ / "data", index_for(vocabulary, 16, 8), 8);
  std::vector<int32_t> ids(16, 7);
  for (int row = 0; row < 8; ++row) {
    if (row == 5) ids[9] = 40;
    writer.add(ids, 6);
  }
  writer.finish(vocabulary, 100);
  const Error error = failure("run");
  EXPECT_EQ(error.exit_code(), ExitCode::kNeedsHuman);
  EXPECT_EQ(error.what(), (folder_ / "data" / "shard-00000.h5").string() +
                              ": dataset 'input_ids', row 5: expected ids below 40, found 40");
}

TEST_F(TrainerTest, HeldOutDataThatDoesNotGoWithTheRest) {
  const std::filesystem::path held_out = folder_ / "data" / "held_out";
  write_numbered_data(held_out, 8, 24, 40, 8, 8);
  EXPECT_EQ(failure("run").what(), "data.seq_len: expected 24, the tokens in a sequence of " +
                                       held_out.string() + "; found 16");
  std::filesystem::remove_all(held_out);
  write_numbered_data(held_out, 8, 16, 41, 8, 8);
  const std::string other = failure("run").what();
  EXPECT_TRUE(other.starts_with(held_out.string() + ": vocabulary: expected that of ")) << other;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(TrainerTest, AFailureOfOneRankIsToldByAll) {
  std::filesystem::create_directories(folder_ / "run");
  folder_.file("run/letter.txt", "dear");
  std::vector<std::string> told(2);
  run_on_threads(2, [&](Comm& comm) {
    try {
      Trainer trainer(comm, config_, paths("run"));
    } catch (const SharedError& error) {
      told[comm.rank()] = error.what();
    }
  });
  EXPECT_TRUE(told[0].starts_with("rank 0: run folder ")) << told[0];
  EXPECT_EQ(told[1], told[0]);
}

}  // namespace
}  // namespace funnel::testing
