// SPDX-License-Identifier: Apache-2.0
#include "launch/learner.h"

#include <algorithm>
#include <cmath>

#include "core/backend/matmul.h"
#include "core/base/log.h"
#include "core/ops/clip.h"
#include "core/ops/digest.h"
#include "core/ops/elementwise.h"
#include "core/optim/schedule.h"

namespace funnel {
namespace {

constexpr int64_t kNorm = PretrainMetrics::kCount;  // where the norm rides behind the metrics
constexpr int64_t kDigestEverySteps = 10;

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

Learner::Learner(Comm& comm, const RunConfig& config, Device device, bool records)
    : comm_(comm),
      config_(config),
      shards_(shards_of_rank(config.train.logical_shards, comm.rank(), comm.size())),
      context_(device),
      saved_(device, "the activations kept for the backward pass"),
      params_(storage_dtype(config.precision, device)),
      task_(params_, config.pretrain),
      records_(records),
      update_work_(context_),
      word_(kShardNumbers, shards_.count) {
  for (int64_t shard = 0; shard < shards_.count; ++shard) shard_work_.emplace_back(context_);
  params_.allocate(context_);
  params_.initialise(context_, config.train.seed, config.pretrain.model.init_std);
  const int64_t n = params_.flat_elements();
  moment_memory_ = Buffer(context_.device(), 2 * n * size_of(DType::f32), "Adam's moments");
  const Tensor both = moment_memory_.tensor({2 * n}, DType::f32);
  context_.fill_zero(both);
  moment1_ = both.slice(0, {n});
  moment2_ = both.slice(n, {n});
  update_table_ = std::make_unique<UpdateTable>(
      context_, decay_runs(params_, config.optimizer.decay_exclusions), 0, n);
  const Shape numbers{shards_.count * kShardNumbers + 6};
  measured_memory_ = Buffer(context_.device(), numbers.elements() * size_of(DType::f64));
  read_memory_ = Buffer::for_transfer(context_.device(), numbers.elements() * size_of(DType::f64));
  measured_ = measured_memory_.tensor(numbers, DType::f64);
  read_ = read_memory_.tensor(numbers, DType::f64);
  norm_ = measured_.slice(numbers[0] - 6, {1});
  factor_ = measured_.slice(numbers[0] - 5, {1});
  digest_ = measured_.slice(numbers[0] - 4, {4});
  context_.fill_zero(measured_);
  Context* const of_grads = params_.grads().device() == Device::cpu ? nullptr : &context_;
  gradient_tree_ = std::make_unique<ShardTree>(params_.grads(), shards_.count, of_grads);
  comm_.attach(context_);
}

Tensor Learner::numbers_of(int64_t shard) const {
  return measured_.slice((shard - shards_.first) * kShardNumbers, {kShardNumbers});
}

// On a device that cannot record this work it is launched kernel by kernel, with the same bits.
void Learner::issue(RecordedWork& work, const std::function<void()>& body) {
  if (!records_) return body();
  work.run(body);
  if (work.refusal().empty() || has_told_) return;
  has_told_ = true;
  log_warning("steps are launched kernel by kernel, for they cannot be recorded: " +
              work.refusal());
}

int64_t Learner::recorded_operations() const {
  int64_t operations = update_work_.operations();
  for (const ShardWork& work : shard_work_) {
    operations += work.forward.operations() + work.backward.operations();
  }
  return operations;
}

Step Learner::pass_of(int64_t step, int64_t shard, bool training) {
  return {.context = context_,
          .saved = saved_,
          .seed = config_.train.seed,
          .number = step,
          .first_sample = shard * config_.train.shard_batch(),
          .training = training,
          .has_backward = training};
}

void Learner::forward(const Step& pass, int64_t shard, const PretrainBatch& batch) {
  saved_.reset();
  const PretrainBatch here =
      work_of(shard).upload.to_device(context_, saved_, batch, config_.pretrain.model.vocab);
  Step step = pass;
  if (pass.has_backward) context_.fill_zero(params_.grads());
  task_.forward(step, here, numbers_of(shard).slice(0, {PretrainMetrics::kCount}));
}

void Learner::backward(const Step& pass, int64_t shard) {
  Step step = pass;
  task_.backward(step);
  clip_shard(shard);
}

void Learner::train_shard(int64_t step, int64_t shard, const PretrainBatch& batch) {
  const Step pass = pass_of(step, shard, /*training=*/true);
  ShardWork& work = work_of(shard);
  issue(work.forward, [&] { forward(pass, shard, batch); });
  issue(work.backward, [&] { backward(pass, shard); });
}

// A shard whose loss or gradient is not finite spoils its whole gradient, and thereby the combined
// one: so every rank skips the step without being told.
void Learner::clip_shard(int64_t shard) {
  const OptimizerConfig& optimizer = config_.optimizer;
  const Tensor numbers = numbers_of(shard), norm = numbers.slice(kNorm, {1});
  gradient_norm(context_, params_.grads(), 1.0, norm);
  clip_factor(context_,
              {.norm = norm,
               .loss = place_of(Metric::loss, numbers),
               .limit = optimizer.clip_scope == ClipScope::per_shard ? optimizer.clip_norm : 0.0,
               .factor = factor_});
  scale(context_, params_.grads(), factor_, params_.grads());
}

// The only place where the host waits for the device: when the step's work is all under way.
void Learner::fold_numbers() {
  context_.download(measured_, read_);
  const double* numbers = read_.as<double>();
  for (int64_t shard = 0; shard < shards_.count; ++shard) {
    std::copy_n(numbers + shard * kShardNumbers, kShardNumbers, word_.values().begin());
    word_.fold_shard();
  }
}

int64_t Learner::first_nonfinite_shard() const {
  const double* numbers = read_.as<double>();
  for (int64_t shard = 0; shard < shards_.count; ++shard) {
    const double* of_shard = numbers + shard * kShardNumbers;
    const double loss = of_shard[static_cast<int64_t>(Metric::loss)];
    if (!std::isfinite(loss) || !std::isfinite(of_shard[kNorm])) return shards_.first + shard;
  }
  return -1;
}

StepReport Learner::train_step(int64_t step, const NextShard& next, bool want_stop) {
  for (int64_t shard = shards_.first; shard < shards_.first + shards_.count; ++shard) {
    train_shard(step, shard, next());
    gradient_tree_->fold();
  }
  comm_.all_reduce_sum(params_.grads());
  const bool digest = comm_.size() > 1 && step % kDigestEverySteps == 0;
  if (digest) digest_bits(context_, params_.values(), digest_);
  issue(update_work_, [&] { update(step); });
  fold_numbers();
  const double norm = read_.as<double>()[shards_.count * kShardNumbers];
  const StepWord::Agreed agreed =
      word_.reduce(comm_, {.stop = want_stop,
                           .non_finite = !std::isfinite(norm),
                           .replica_digest = digest ? read_digest() : 0});

  const auto shards = static_cast<double>(config_.train.logical_shards);
  const bool is_global = config_.optimizer.clip_scope == ClipScope::global;
  return {.metrics = from_sums(word_.values(), shards),
          .gradient_norm = is_global ? norm : word_.values()[kNorm] / shards,
          .learning_rate = learning_rate(config_.optimizer, config_.train.steps, step),
          .skipped = agreed.non_finite,
          .nonfinite_shard = first_nonfinite_shard(),
          .stop = agreed.stop,
          .replicas_agree = agreed.replicas_agree};
}

uint64_t Learner::read_digest() const {
  const double* parts = read_.as<double>() + read_.elements() - 4;
  uint64_t digest = 0;
  for (int part = 0; part < 4; ++part) digest |= static_cast<uint64_t>(parts[part]) << (16 * part);
  return digest;
}

void Learner::update(int64_t step) {
  const OptimizerConfig& optimizer = config_.optimizer;
  const bool is_mean = optimizer.gradient_reduction == GradientReduction::mean;
  const double mean = is_mean ? 1.0 / static_cast<double>(config_.train.logical_shards) : 1.0;
  gradient_norm(context_, params_.grads(), mean, norm_);
  clip_factor(context_,
              {.norm = norm_,
               .loss = {},
               .limit = optimizer.clip_scope == ClipScope::global ? optimizer.clip_norm : 0.0,
               .factor = factor_});
  adamw_step(context_, optimizer,
             {.values = params_.values(),
              .moment1 = moment1_,
              .moment2 = moment2_,
              .rounded = params_.rounded_values(),
              .grads = params_.grads(),
              .table = *update_table_,
              .step = step,
              .learning_rate = learning_rate(optimizer, config_.train.steps, step),
              .gradient_factor = mean,
              .factor = factor_});
}

PretrainMetrics Learner::evaluate(int64_t batches, const NextShard& next) {
  std::vector<double> sums(kShardNumbers, 0.0);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t shard = shards_.first; shard < shards_.first + shards_.count; ++shard) {
      forward(pass_of(batch, shard, /*training=*/false), shard, next());
    }
    fold_numbers();
    word_.reduce(comm_, {});
    for (int64_t i = 0; i < kShardNumbers; ++i) sums[i] += word_.values()[i];
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
  if (context_.device() == Device::cuda) {
    const HostState host = host_state();
    context_.upload(host.values, params_.values());
    context_.upload(host.moment1, moment1_);
    context_.upload(host.moment2, moment2_);
    context_.synchronize();
  }
  params_.round_values(context_);
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
