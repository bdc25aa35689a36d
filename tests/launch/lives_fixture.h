// SPDX-License-Identifier: Apache-2.0
// Runs of a few lives in one process, each with its device and precision.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "launch/checkpoint.h"
#include "launch/trainer.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"
#include "tests/launch/learner_fixture.h"

namespace funnel::testing {

class LivesTest : public ::testing::Test {
 protected:
  explicit LivesTest(Objective objective) : config_(small_run(objective)) {
    write_numbered_data(folder_ / "data", 24, 16, 40, 8, 16);
    config_.train.eval_batches = 0;
    config_.optimizer.warmup_steps = 0;
  }

  // Trains `run` on to `steps` and returns the state in its checkpoint.
  Learnt train(const std::string& run, int64_t steps, Device device,
               Precision precision = Precision::fp32) {
    RunConfig config = config_;
    config.precision = precision;
    config.train.steps = steps;
    SoloComm solo;
    const RunPaths paths{{{folder_ / "data"}}, folder_ / run};
    EXPECT_EQ(Trainer(solo, config, paths, {device, "under test", "this test"}).run(),
              ExitCode::kDone);
    Learner learner(solo, config_);
    TrainingState state;
    state.layout = learner.layout();
    state.values = learner.params().values();
    state.moment1 = learner.moment1();
    state.moment2 = learner.moment2();
    load_newest_checkpoint(solo, paths.run / "checkpoints", state);
    EXPECT_EQ(state.step, steps);
    Learnt learnt;
    learnt.take_state(learner);
    return learnt;
  }

  RunConfig config_;
  TemporaryFolder folder_;
};

}  // namespace funnel::testing
