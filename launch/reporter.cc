// SPDX-License-Identifier: Apache-2.0
#include "launch/reporter.h"

#include "core/base/log.h"
#include "core/model/model_cost.h"

namespace funnel {

Reporter::Reporter(const RunConfig& config, const std::filesystem::path& metrics,
                   int64_t resumed_step, double peak_flops)
    : config_(config),
      peak_flops_(peak_flops),
      resumed_step_(resumed_step),
      metrics_(metrics, resumed_step),
      reported_step_(resumed_step) {}

void Reporter::start() {
  reported_at_ = Clock::now();
}

double Reporter::life_seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

Speed Reporter::speed(int64_t steps_done, double waited_seconds) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - reported_at_).count();
  const auto steps = static_cast<double>(steps_done - reported_step_);
  const double sequences_per_second =
      steps * static_cast<double>(config_.train.global_batch) / seconds;
  const StepFlops flops =
      step_flops(config_.pretrain, config_.data.seq_len, config_.corruption.predictions);
  const double flops_per_second = sequences_per_second * static_cast<double>(flops.training());
  return {.step_seconds = seconds / steps,
          .tokens_per_second = sequences_per_second * static_cast<double>(config_.data.seq_len),
          .flops_per_second = flops_per_second,
          .share_of_peak = peak_flops_ > 0 ? flops_per_second / peak_flops_ : 0.0,
          .data_wait_share = (waited_seconds - reported_wait_) / seconds};
}

void Reporter::step(int64_t steps_done, const StepReport& report, double waited_seconds) {
  const Speed now = speed(steps_done, waited_seconds);
  const std::string text = describe_step(steps_done, config_.train.steps, report, now);
  progress_.show(text);
  if (report.skipped)
    warning(concat("step ", steps_done, " was skipped: a loss or gradient is not finite"));
  const bool is_regular = steps_done % config_.train.log_every_steps == 0 || steps_done == 1 ||
                          steps_done == config_.train.steps;
  if (is_regular) metrics_.train(steps_done, report, now, life_seconds());
  if (!is_regular && !report.stop && steps_done != resumed_step_ + 1) return;
  if (!progress_.on_terminal()) log_info(text);
  reported_at_ = Clock::now();
  reported_step_ = steps_done;
  reported_wait_ = waited_seconds;
}

void Reporter::eval(int64_t steps_done, const PretrainMetrics& metrics) {
  metrics_.eval(steps_done, metrics, life_seconds());
  message(describe_eval(steps_done, metrics));
}

void Reporter::message(const std::string& text) {
  progress_.finish();
  log_info(text);
}

void Reporter::warning(const std::string& text) {
  progress_.finish();
  log_warning(text);
}

}  // namespace funnel
