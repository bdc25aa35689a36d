// SPDX-License-Identifier: Apache-2.0
// Tells of a run while it goes: on a terminal a progress line, elsewhere log lines, and
// metrics.jsonl in any case. Lives on rank 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "launch/config.h"
#include "launch/learner.h"
#include "launch/metrics.h"

namespace funnel {

class Reporter {
 public:
  // peak_flops: what all ranks' cores could do, see measure_fma_peak(); 0 if that is not known.
  Reporter(const RunConfig& config, const std::filesystem::path& metrics, int64_t resumed_step,
           double peak_flops);

  // Starts the clock of the first step.
  void start();

  // After each step: steps_done counts it, waited_seconds is rank 0's waiting for data so far.
  // metrics.jsonl gets the first step, every log_every_steps-th and the last, so that it does not
  // show where lives ended; the log also the first step of this life and the one that stops it.
  void step(int64_t steps_done, const StepReport& report, double waited_seconds);

  // Held-out losses.
  void eval(int64_t steps_done, const PretrainMetrics& metrics);

  // A line of the log, on a line of its own.
  void message(const std::string& text);
  void warning(const std::string& text);

  // Leaves the time since `since` out of the speed (evaluations, checkpoints).
  using Clock = std::chrono::steady_clock;
  void leave_out(Clock::time_point since) { reported_at_ += Clock::now() - since; }

 private:
  Speed speed(int64_t steps_done, double waited_seconds) const;
  double life_seconds() const;

  RunConfig config_;
  double peak_flops_;
  int64_t resumed_step_;
  MetricsFile metrics_;
  ProgressLine progress_;
  Clock::time_point start_ = Clock::now();
  // At the last line.
  Clock::time_point reported_at_ = start_;
  int64_t reported_step_;
  double reported_wait_ = 0;
};

}  // namespace funnel
