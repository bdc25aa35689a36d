// SPDX-License-Identifier: Apache-2.0
#include "launch/learner.h"

#include <algorithm>
#include <cmath>

#include "core/backend/matmul.h"
#include "core/ops/elementwise.h"
#include "core/optim/schedule.h"

namespace funnel {
namespace {

constexpr int kNormValue = PretrainMetrics::kCount;  // where the norm rides behind the metrics
constexpr int64_t kWordValues = PretrainMetrics::kCount + 1;
constexpr int64_t kDigestEverySteps = 10;

std::vector<DecayRun> decay_runs(const Params& params, DecayExclusions exclusions) {
  std::vector<DecayRun> runs;
  for (const Param& param : params.all()) {
    const bool decays = exclusions == DecayExclusions::none || param.decays_always();
    runs.push_back({param.offset, param.shape.elements(), decays});
  }
  // The last parameter's run also covers the gap behind it.
  runs.back().count = params.flat_elements() - runs.back().first;
  return join_runs(runs);
}

void put(std::span<double> values, const PretrainMetrics& metrics, double norm) {
  const auto array = metrics.to_array();
  std::copy(array.begin(), array.end(), values.begin());
  values[kNormValue] = norm;
}

// Sums over shards become means (losses) and stay sums (counts).
PretrainMetrics from_sums(std::span<const double> values, double shards) {
  std::array<double, PretrainMetrics::kCount> array;
  std::copy_n(values.begin(), array.size(), array.begin());
  PretrainMetrics metrics = PretrainMetrics::from_array(array);
  metrics.loss /= shards;
  metrics.mlm_loss /= shards;
  metrics.discriminator_loss /= shards;
  return metrics;
}

}  // namespace

Learner::Learner(Comm& comm, const RunConfig& config, Device device)
    : comm_(comm),
      config_(config),
      shards_(shards_of_rank(config.train.logical_shards, comm.rank(), comm.size())),
      context_(device),
      saved_(device),
      params_(DType::f32),
      task_(params_, config.pretrain),
      word_(kWordValues, shards_.count) {
  params_.allocate(Device::cpu);
  params_.initialise(config.train.seed, config.pretrain.model.init_std);
  const int64_t n = params_.flat_elements();
  moment_memory_ = Buffer(Device::cpu, 2 * n * size_of(DType::f32));
  const Tensor both = moment_memory_.tensor({2 * n}, DType::f32);
  context_.fill_zero(both);
  moment1_ = both.slice(0, {n});
  moment2_ = both.slice(n, {n});
  decay_runs_ = decay_runs(params_, config.optimizer.decay_exclusions);
  Context* const of_grads = params_.grads().device() == Device::cpu ? nullptr : &context_;
  gradient_tree_ = std::make_unique<ShardTree>(params_.grads(), shards_.count, of_grads);
  comm_.attach(context_);
}

PretrainMetrics Learner::run_shard(int64_t step, int64_t shard, const PretrainBatch& batch,
                                   bool training) {
  saved_.reset();
  Step pass{.context = context_,
            .saved = saved_,
            .seed = config_.train.seed,
            .number = step,
            .first_sample = shard * config_.train.shard_batch(),
            .training = training};
  const PretrainMetrics metrics = task_.forward(pass, batch);
  if (training) {
    context_.fill_zero(params_.grads());
    task_.backward(pass, batch);
  }
  return metrics;
}

ClippedNorm Learner::clip_shard() {
  const double norm = global_norm(context_, params_.grads());
  if (config_.optimizer.clip_scope == ClipScope::global) return {norm, 1.0};
  const ClippedNorm clipped = clip_norm(norm, config_.optimizer.clip_norm);
  if (clipped.factor != 1.0) scale(context_, params_.grads(), clipped.factor, params_.grads());
  return clipped;
}

StepReport Learner::train_step(int64_t step, const NextShard& next, bool want_stop) {
  bool non_finite = false;
  for (int64_t shard = shards_.first; shard < shards_.first + shards_.count; ++shard) {
    const PretrainMetrics metrics = run_shard(step, shard, next(), /*training=*/true);
    const ClippedNorm norm = clip_shard();
    non_finite |= !norm.finite() || !std::isfinite(metrics.loss);
    gradient_tree_->fold();
    put(word_.values(), metrics, norm.norm);
    word_.fold_shard();
  }
  comm_.all_reduce_sum(params_.grads());
  const bool digest = step % kDigestEverySteps == 0;
  const StepWord::Agreed agreed =
      word_.reduce(comm_, {.stop = want_stop,
                           .non_finite = non_finite,
                           .replica_digest = digest ? replica_digest(params_.values()) : 0});

  const auto shards = static_cast<double>(config_.train.logical_shards);
  StepReport report{.metrics = from_sums(word_.values(), shards),
                    .gradient_norm = word_.values()[kNormValue] / shards,
                    .learning_rate = learning_rate(config_.optimizer, config_.train.steps, step),
                    .skipped = agreed.non_finite,
                    .stop = agreed.stop,
                    .replicas_agree = agreed.replicas_agree};
  const bool is_mean = config_.optimizer.gradient_reduction == GradientReduction::mean;
  double factor = is_mean ? 1.0 / shards : 1.0;
  if (config_.optimizer.clip_scope == ClipScope::global && !report.skipped) {
    report.gradient_norm = factor * global_norm(context_, params_.grads());
    const ClippedNorm clipped = clip_norm(report.gradient_norm, config_.optimizer.clip_norm);
    report.skipped = !clipped.finite();
    factor *= clipped.factor;
  }
  if (!report.skipped) update(step, factor);
  return report;
}

void Learner::update(int64_t step, double gradient_factor) {
  adamw_step(context_, config_.optimizer,
             {.values = params_.values(),
              .moment1 = moment1_,
              .moment2 = moment2_,
              .grads = params_.grads(),
              .runs = decay_runs_,
              .step = step,
              .learning_rate = learning_rate(config_.optimizer, config_.train.steps, step),
              .gradient_factor = gradient_factor});
}

PretrainMetrics Learner::evaluate(int64_t batches, const NextShard& next) {
  std::vector<double> sums(kWordValues, 0.0);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t shard = shards_.first; shard < shards_.first + shards_.count; ++shard) {
      put(word_.values(), run_shard(batch, shard, next(), /*training=*/false), 0);
      word_.fold_shard();
    }
    word_.reduce(comm_, {});
    for (int64_t i = 0; i < kWordValues; ++i) sums[i] += word_.values()[i];
  }
  return from_sums(sums, static_cast<double>(batches * config_.train.logical_shards));
}

HostState Learner::host_state() {
  if (context_.device() == Device::cpu) return {params_.values(), moment1_, moment2_};
  const int64_t n = params_.flat_elements();
  if (host_memory_.bytes() == 0) host_memory_ = Buffer(Device::cpu, 3 * n * size_of(DType::f32));
  const Tensor all = host_memory_.tensor({3 * n}, DType::f32);
  return {all.slice(0, {n}), all.slice(n, {n}), all.slice(2 * n, {n})};
}

void Learner::download_state() {
  if (context_.device() == Device::cpu) return;
  const HostState host = host_state();
  context_.download(params_.values(), host.values);
  context_.download(moment1_, host.moment1);
  context_.download(moment2_, host.moment2);
}

void Learner::upload_state() {
  if (context_.device() == Device::cpu) return;
  const HostState host = host_state();
  context_.upload(host.values, params_.values());
  context_.upload(host.moment1, moment1_);
  context_.upload(host.moment2, moment2_);
  context_.synchronize();
}

std::string Learner::matmul_name() {
  return context_.matmul_primitives().name();
}

std::vector<ParamEntry> Learner::layout() const {
  std::vector<ParamEntry> entries;
  for (const Param& param : params_.all()) {
    entries.push_back({param.name, param.shape, param.offset});
  }
  return entries;
}

}  // namespace funnel
