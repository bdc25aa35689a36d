// SPDX-License-Identifier: Apache-2.0
// A run: opens the data and the run folder, resumes what the folder holds, trains to the last step,
// and evaluates, saves and reports on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/config.h"
#include "launch/device_choice.h"
#include "launch/learner.h"
#include "launch/reporter.h"
#include "launch/run_data.h"
#include "launch/run_folder.h"
#include "launch/shard_feed.h"
#include "parallel/comm.h"

namespace funnel {

struct RunPaths {
  std::vector<DataSource> data;  // folders made by funnel-shard build
  std::filesystem::path run;     // created, or resumed
};

class Trainer {
 public:
  // Collective. Input errors (exit code 2) name what does not fit: config, data, run folder, ranks.
  Trainer(Comm& comm, RunConfig config, const RunPaths& paths, ChosenDevice device = {});

  // Collective. kDone after the last step, kSaved after a stop was requested and saved, kNeedsHuman
  // after too many steps in a row that were not finite, or when the replicas' weights differ.
  ExitCode run();

 private:
  void open_run_folder(const RunPaths& paths);
  void agree_with_stored_config();
  void resume();
  void start_reporting();
  void start_feed();
  void log_start(double peak_flops) const;

  // One step and what follows from it; a value ends the run.
  std::optional<ExitCode> advance();
  std::optional<ExitCode> judge(const StepReport& report);
  void evaluate();
  void save();
  bool is_due(int64_t every_steps) const {
    return step_ == config_.train.steps || (every_steps > 0 && step_ % every_steps == 0);
  }
  void tell(const std::string& text);
  void complain(const std::string& text);
  bool is_root() const { return comm_.rank() == 0; }

  Comm& comm_;
  RunConfig config_;
  ChosenDevice device_;
  std::unique_ptr<RunFolder> folder_;  // rank 0 only
  std::string run_id_;
  std::filesystem::path run_path_;
  std::filesystem::path checkpoints_;
  std::optional<RunData> data_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<ShardFeed> feed_;
  std::unique_ptr<Reporter> reporter_;  // rank 0 only

  int64_t step_ = 0;  // steps done
  int64_t nonfinite_in_row_ = 0;
};

}  // namespace funnel
