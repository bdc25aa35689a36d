// SPDX-License-Identifier: Apache-2.0
// What a run tells: metrics.jsonl, one JSON object a line, for programs; a progress line on a
// terminal, or log lines elsewhere, for people. Rank 0 only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/model/pretrain_batch.h"
#include "launch/learner.h"

namespace funnel {

// How fast steps go, measured over those since the last line.
struct Speed {
  double step_seconds = 0;
  double tokens_per_second = 0;
  double flops_per_second = 0;  // of the model's matrix products
  double share_of_peak = 0;     // of all ranks' multiply-add peak; 0 and left out if not known
  double data_wait_share = 0;   // of the time, what rank 0 waited for batches
};

// metrics.jsonl. Lines of kind "train" have step, loss, mlm_loss, mlm_accuracy, discriminator_loss,
// discriminator_accuracy, majority_accuracy (ELECTRA only, the last three), gradient_norm,
// learning_rate, skipped, tokens_per_second, flops_per_second, share_of_peak (on the CPU),
// data_wait_share, seconds since the start of this life; of kind "eval" the losses and accuracies
// on held-out data.
// `step` counts steps done. Losses are written with all their digits.
class MetricsFile {
 public:
  // Opens for appending. Lines of steps after `resumed_step` (of a life that was lost) are dropped
  // first, so that each step stands once.
  MetricsFile(const std::filesystem::path& path, int64_t resumed_step);

  void train(int64_t steps_done, const StepReport& report, const Speed& speed, double seconds);
  void eval(int64_t steps_done, const PretrainMetrics& metrics, double seconds);

 private:
  void write_line(const std::string& line);

  std::filesystem::path path_;
  std::ofstream file_;
};

// One line of text about a step: "step 120/300  loss 41.22  mlm 6.31  disc 0.701  …".
std::string describe_step(int64_t steps_done, int64_t steps, const StepReport& report,
                          const Speed& speed);
std::string describe_eval(int64_t steps_done, const PretrainMetrics& metrics);

// Shares of the counts; 0 where nothing was counted.
double mlm_accuracy(const PretrainMetrics& metrics);
double discriminator_accuracy(const PretrainMetrics& metrics);
// What always answering with the more frequent class would score.
double majority_accuracy(const PretrainMetrics& metrics);

// Rewrites one line of standard error in place, if that is a terminal.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  bool on_terminal() const { return on_terminal_; }
  void show(const std::string& text);
  // Ends the line, so that other output can follow.
  void finish();

 private:
  bool on_terminal_;
  bool is_shown_ = false;
};

}  // namespace funnel
