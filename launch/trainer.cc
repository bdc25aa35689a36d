// SPDX-License-Identifier: Apache-2.0
#include "launch/trainer.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "core/backend/cpu/fma_peak.h"
#include "core/base/log.h"
#include "data/durable_file.h"
#include "launch/checkpoint.h"
#include "launch/checkpoint_folder.h"
#include "launch/memory_advice.h"
#include "launch/signals.h"
#include "parallel/together.h"

namespace funnel {
namespace {

// Fields that may change from one life of a run to the next: they steer the run, not what is
// learned (the length of the run also bends the rate's decay, which its owner may want).
bool may_change(const std::string& difference) {
  for (const char* field :
       {"train.steps:", "train.eval_every_steps:", "train.eval_batches:", "train.save_every_steps:",
        "train.keep_checkpoints:", "train.log_every_steps:", "train.max_nonfinite_steps:",
        "train.peer_timeout_seconds:", "data.prefetch_batches:", "data.num_readers:",
        "data.log_samples:", "device:", "precision:"}) {
    if (difference.starts_with(field)) return true;
  }
  return false;
}

// Adds to the error of a device without memory what would fit, and where it was.
template <class Work>
auto with_memory_advice(const RunConfig& config, int ranks, const std::string& place, Work work) {
  try {
    return work();
  } catch (const OutOfDeviceMemory& error) {
    throw_usage(error.what(), "; ", what_would_fit(config, ranks, error.obtainable()), " (", place,
                ")");
  }
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace

Trainer::Trainer(Comm& comm, RunConfig config, const RunPaths& paths, ChosenDevice device)
    : comm_(comm), config_(std::move(config)), device_(std::move(device)) {
  together(comm, [&] {
    shards_of_rank(config_.train.logical_shards, comm.rank(), comm.size());
    data_ = open_run_data(paths.data, {comm.rank(), comm.size()}, config_);
  });
  open_run_folder(paths);
  together(comm, [&] {
    learner_ = with_memory_advice(config_, comm.size(), device_.place, [&] {
      return std::make_unique<Learner>(comm, config_, device_.device);
    });
  });
  resume();
  together(comm, [&] { start_reporting(); });
}

void Trainer::open_run_folder(const RunPaths& paths) {
  run_path_ = paths.run;
  checkpoints_ = paths.run / "checkpoints";
  together(comm_, [&] {
    if (!is_root()) return;
    folder_ = std::make_unique<RunFolder>(paths.run);
    run_id_ = folder_->run_id();
    agree_with_stored_config();
    recover_checkpoint_folder(folder_->checkpoints());
    open_log(0, folder_->log());
  });
  broadcast_text(comm_, run_id_, 0);
}

// A run keeps the configuration it was started with.
void Trainer::agree_with_stored_config() {
  const std::filesystem::path path = folder_->config();
  if (std::filesystem::exists(path)) {
    const RunConfig stored = parse_config(read_text_file(path), path.string());
    std::vector<std::string> rejected, accepted;
    for (std::string& line : differences(stored, config_)) {
      (may_change(line) ? accepted : rejected).push_back(std::move(line));
    }
    FUNNEL_CHECK_INPUT(rejected.empty(), path.string(),
                       ": this run was started with another "
                       "configuration (",
                       joined(rejected), "); use another run folder");
    if (accepted.empty()) return;
    log_warning("the configuration has changed since the last life: " + joined(accepted));
  }
  const std::string text = resolved_text(config_);
  write_durably(path, std::span<const char>(text.data(), text.size()));
}

void Trainer::resume() {
  const HostState host = learner_->host_state();
  TrainingState state{.run_id = run_id_,
                      .config_text = {},
                      .vocabulary_digest = data_->training.vocabulary().digest(),
                      .layout = learner_->layout(),
                      .values = host.values,
                      .moment1 = host.moment1,
                      .moment2 = host.moment2};
  Resumed resumed;
  try {
    resumed = load_newest_checkpoint(comm_, checkpoints_, state);
  } catch (const Error& error) {
    throw_together(comm_, error);  // every rank is here
  }
  if (!resumed.path.empty()) {
    step_ = state.step;
    learner_->upload_state();
  }
  if (!is_root()) return;
  for (const DamagedCheckpoint& damaged : resumed.damaged) {
    log_warning(concat("checkpoint passed over and moved to ",
                       set_aside_checkpoint(damaged.path).string(), ": ", damaged.reason));
  }
  if (!resumed.path.empty()) log_info("resumed " + resumed.path.string());
}

void Trainer::start_reporting() {
  if (!is_root()) return;
  const bool is_cpu = device_.device == Device::cpu;
  const double peak_flops = is_cpu ? measure_fma_peak() * comm_.size() : 0.0;
  log_start(peak_flops);
  reporter_ = std::make_unique<Reporter>(config_, folder_->metrics(), step_, peak_flops);
}

void Trainer::log_start(double peak_flops) const {
  const PretrainConfig& pretrain = config_.pretrain;
  const bool electra = pretrain.objective == Objective::electra;
  log_info(concat(electra ? "ELECTRA " : "MLM ", layout_name(pretrain.model), ", ",
                  learner_->params().count(), " parameters, run ", run_id_));
  log_info(concat(data_->training.examples(), " sequences of ", config_.data.seq_len, " tokens, ",
                  data_->held_out ? data_->held_out->examples() : 0, " held out; ",
                  config_.train.global_batch, " a step in ", config_.train.logical_shards,
                  " logical shards on ", comm_.size(), comm_.size() == 1 ? " rank" : " ranks"));
  const std::string peak = concat(", multiply-add peak ", static_cast<int64_t>(peak_flops / 1e9),
                                  " GFLOP/s over all ranks");
  log_info(
      concat("device: ", device_.text, "; ", learner_->matmul_name(), peak_flops > 0 ? peak : ""));
  const bool is_bf16 = learner_->params().dtype() == DType::bf16;
  log_info(concat("precision: ", is_bf16 ? "bf16, weights and sums in fp32" : "fp32",
                  config_.precision == Precision::automatic ? ", as is usual on this device"
                                                            : ", as configured"));
}

ExitCode Trainer::run() {
  if (step_ < config_.train.steps) start_feed();
  if (is_root()) reporter_->start();
  while (step_ < config_.train.steps) {
    if (const std::optional<ExitCode> end = advance()) return *end;
  }
  tell(concat("done: ", step_, " steps, checkpoints in ", checkpoints_.string()));
  return ExitCode::kDone;
}

void Trainer::start_feed() {
  feed_ = std::make_unique<ShardFeed>(data_->training, config_, learner_->shards(), step_);
  if (!config_.data.log_samples) return;
  const std::filesystem::path folder = run_path_ / "samples";
  std::filesystem::create_directories(folder);
  feed_->log_samples(folder / concat("rank-", comm_.rank(), ".txt"));
}

std::optional<ExitCode> Trainer::advance() {
  const StepReport report = with_memory_advice(config_, comm_.size(), device_.place, [&] {
    return learner_->train_step(
        step_, [&]() -> const PretrainBatch& { return feed_->next(); }, stop_requested());
  });
  ++step_;
  if (report.nonfinite_shard >= 0) {
    log_warning(concat("step ", step_, ": the loss or gradient of logical shard ",
                       report.nonfinite_shard, " is not finite (", device_.place, ")"));
  }
  if (is_root()) reporter_->step(step_, report, feed_->waited_seconds());
  if (const std::optional<ExitCode> end = judge(report)) return end;
  // Evaluation comes first, also before a stop: what a checkpoint's next life starts from has been
  // evaluated once and never again.
  if (is_due(config_.train.eval_every_steps)) evaluate();
  if (is_due(config_.train.save_every_steps) || report.stop) save();
  if (!report.stop || step_ == config_.train.steps) return std::nullopt;
  tell(concat("stopped on request after step ", step_, "; saved"));
  return ExitCode::kSaved;
}

std::optional<ExitCode> Trainer::judge(const StepReport& report) {
  nonfinite_in_row_ = report.skipped ? nonfinite_in_row_ + 1 : 0;
  if (!report.replicas_agree) {
    complain(concat("at step ", step_, " the ranks' weights are not the same"));
    return ExitCode::kNeedsHuman;
  }
  if (nonfinite_in_row_ <= config_.train.max_nonfinite_steps) return std::nullopt;
  complain(concat(nonfinite_in_row_,
                  " steps in a row were not finite (train.max_nonfinite_steps is ",
                  config_.train.max_nonfinite_steps, ")"));
  return ExitCode::kNeedsHuman;
}

void Trainer::evaluate() {
  if (!data_->held_out || config_.train.eval_batches == 0) return;
  const Reporter::Clock::time_point before = Reporter::Clock::now();
  ShardFeed feed(*data_->held_out, config_, learner_->shards(), 0);
  const PretrainMetrics metrics = learner_->evaluate(
      config_.train.eval_batches, [&]() -> const PretrainBatch& { return feed.next(); });
  if (!is_root()) return;
  reporter_->eval(step_, metrics);
  reporter_->leave_out(before);
}

void Trainer::save() {
  const Reporter::Clock::time_point before = Reporter::Clock::now();
  learner_->download_state();
  const HostState host = learner_->host_state();
  const TrainingState state{.run_id = run_id_,
                            .step = step_,
                            .samples = step_ * config_.train.global_batch,
                            .seed = config_.train.seed,
                            .config_text = resolved_text(config_),
                            .vocabulary_digest = data_->training.vocabulary().digest(),
                            .layout = learner_->layout(),
                            .values = host.values,
                            .moment1 = host.moment1,
                            .moment2 = host.moment2};
  const int keep = static_cast<int>(std::max<int64_t>(2, config_.train.keep_checkpoints));
  const std::filesystem::path path =
      save_checkpoint(comm_, checkpoints_, state, {.keep_last = keep, .before = {}});
  if (!is_root()) return;
  const std::chrono::duration<double> seconds = Reporter::Clock::now() - before;
  reporter_->message(concat("saved ", path.string(), " in ", seconds.count(), " s"));
  reporter_->leave_out(before);
}

void Trainer::tell(const std::string& text) {
  if (is_root()) reporter_->message(text);
}

void Trainer::complain(const std::string& text) {
  if (is_root()) log_error(text + "; the last checkpoint stands: " + checkpoints_.string());
}

}  // namespace funnel
