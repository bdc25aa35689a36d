// SPDX-License-Identifier: Apache-2.0
// What learns: a replica of the model and of the optimizer's state on every rank. One step computes
// this rank's logical shards one after the other, adds gradients over all shards in one fixed tree,
// and updates every replica alike, so the bits of a step do not depend on the number of ranks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/recorded_work.h"
#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/model/pretrain_task.h"
#include "core/optim/adamw.h"
#include "launch/checkpoint_manifest.h"
#include "launch/config.h"
#include "parallel/comm.h"
#include "parallel/shard_tree.h"
#include "parallel/step_word.h"

namespace funnel {

// What one step did, the same on every rank.
struct StepReport {
  PretrainMetrics metrics;   // losses: means over shards; counts: sums
  double gradient_norm = 0;  // before clipping; of a shard on average if shards are clipped
  double learning_rate = 0;
  bool skipped = false;  // a value was not finite: nothing was updated
  // The first of this rank's logical shards whose loss or gradient was not finite, or -1. Only this
  // rank knows.
  int64_t nonfinite_shard = -1;
  bool stop = false;           // some rank wants to stop
  bool replicas_agree = true;  // false: the ranks' weights have drifted apart
};

// What a checkpoint keeps, in host memory.
struct HostState {
  Tensor values, moment1, moment2;  // [flat_elements] each
};

class Learner {
 public:
  // Gives the next logical shard of this rank, in order. Valid until the next call.
  using NextShard = std::function<const PretrainBatch&()>;

  // Builds the model on the device and draws its initial weights, the same on any. Input error if
  // the ranks cannot share the logical shards. On a device steps are recorded and given to it as
  // graphs, or, for comparison, launched kernel by kernel.
  Learner(Comm& comm, const RunConfig& config, Device device = Device::cpu, bool records = true);

  // Collective. Step 0, 1, ...; want_stop is this rank's wish.
  StepReport train_step(int64_t step, const NextShard& next, bool want_stop);

  // Collective. Losses without dropout over `batches` global batches: next() gives this rank's
  // shards of the first, then of the second, … Losses are means, counts sums.
  PretrainMetrics evaluate(int64_t batches, const NextShard& next);

  ShardRange shards() const { return shards_; }
  const Params& params() const { return params_; }
  Tensor moment1() const { return moment1_; }
  Tensor moment2() const { return moment2_; }
  // On the CPU the state itself; else memory beside it, which download_state() fills from the
  // device and upload_state() makes the device's state. Whoever has changed it calls the latter.
  HostState host_state();
  void download_state();
  void upload_state();
  std::vector<ParamEntry> layout() const;
  std::string matmul_name();  // what multiplies matrices, for the log

  // Bytes of kept activations and of scratch of the largest shard so far.
  int64_t saved_bytes() const { return saved_.high_water_bytes(); }
  int64_t scratch_bytes() { return context_.scratch().high_water_bytes(); }

  // Kernels, copies and fills of a step as this rank's device gets them, in graphs; 0 where steps
  // are not recorded.
  int64_t recorded_operations() const;

 private:
  // What a shard needs for itself, because all shards of a step may be under way at once.
  struct ShardWork {
    explicit ShardWork(Context& context) : forward(context), backward(context) {}
    BatchUpload upload;
    RecordedWork forward, backward;
  };
  ShardWork& work_of(int64_t shard) {
    return shard_work_[static_cast<size_t>(shard - shards_.first)];
  }
  Step pass_of(int64_t step, int64_t shard, bool training);
  void issue(RecordedWork& work, const std::function<void()>& body);
  void forward(const Step& pass, int64_t shard, const PretrainBatch& batch);
  void backward(const Step& pass, int64_t shard);
  void train_shard(int64_t step, int64_t shard, const PretrainBatch& batch);
  void clip_shard(int64_t shard);
  uint64_t read_digest() const;
  void update(int64_t step);
  // Where a shard's numbers are measured: its metrics, then its gradient's norm; [kShardNumbers].
  Tensor numbers_of(int64_t shard) const;
  void fold_numbers();
  int64_t first_nonfinite_shard() const;  // of the numbers that fold_numbers() has read, or -1

  static constexpr int64_t kShardNumbers = PretrainMetrics::kCount + 1;

  Comm& comm_;
  RunConfig config_;
  ShardRange shards_;
  Context context_;
  Arena saved_;
  Params params_;
  PretrainTask task_;
  Buffer moment_memory_;
  Tensor moment1_, moment2_;  // [flat_elements]
  Buffer host_memory_;        // values and moments, once asked for; on the CPU never
  std::unique_ptr<UpdateTable> update_table_;
  std::unique_ptr<ShardTree> gradient_tree_;
  bool records_, has_told_ = false;
  std::deque<ShardWork> shard_work_;
  RecordedWork update_work_;
  // What is measured where the step computes, and its copy on the host once the step is done: the
  // numbers of every shard, the norm of the combined gradient, the factor that it is clipped by,
  // the digest of the weights.
  Buffer measured_memory_, read_memory_;
  Tensor measured_, read_;  // f64
  Tensor norm_, factor_;    // [1] each, of measured_
  Tensor digest_;           // [4], the last of measured_
  StepWord word_;           // metrics and gradient norm
};

}  // namespace funnel
