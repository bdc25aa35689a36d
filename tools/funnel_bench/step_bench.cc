// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/step_bench.h"

#include <chrono>

#include "core/backend/cpu/fma_peak.h"
#include "core/backend/stopwatch.h"
#include "core/model/model_cost.h"
#include "launch/learner.h"
#include "tools/funnel_bench/matmul_bench.h"
#include "tools/funnel_bench/synthetic_batch.h"

namespace funnel {
namespace {

// A core's multiply-adds, or a large product on a GPU of what the step multiplies.
double peak_flops(Context& context, DType dtype, const BenchOptions& options) {
  if (context.device() == Device::cpu) return measure_fma_peak();
  const Measurement product = matmul_ceiling(context, dtype, options.edge, options.repeats);
  FUNNEL_CHECK(product.right(), "the product that is to show the device's peak is wrong");
  return 1e3 * product.flops / *product.milliseconds;
}

// The median time of a step.
double time_steps(Comm& comm, Learner& learner, const RunConfig& config, int repeats,
                  StepTimes& times) {
  const SyntheticBatch shard(config);
  const auto next = [&]() -> const PretrainBatch& { return shard.batch(); };
  // On a device the first two steps allocate; recording starts when memory has settled.
  const int prepared = times.on_cpu ? 1 : 3;
  std::vector<double> milliseconds;
  for (int i = 0; i < prepared + repeats; ++i) {
    comm.barrier();
    const auto start = std::chrono::steady_clock::now();
    const StepReport report = learner.train_step(i, next, false);
    comm.barrier();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    if (i >= prepared) milliseconds.push_back(spent.count());
    times.finite = times.finite && !report.skipped;
  }
  return median(milliseconds);
}

void time_whole_step(Comm& comm, Device device, const RunConfig& config, int repeats,
                     StepTimes& times) {
  {
    Learner learner(comm, config, device);
    times.milliseconds = time_steps(comm, learner, config, repeats, times);
    times.activation_bytes = learner.saved_bytes();
    times.scratch_bytes = learner.scratch_bytes();
    times.recorded_operations = learner.recorded_operations();
  }
  if (times.recorded_operations == 0) return;
  Learner launching(comm, config, device, /*records=*/false);
  times.launched_ms = time_steps(comm, launching, config, repeats, times);
}

}  // namespace

StepTimes bench_step(Comm& comm, Device device, const BenchOptions& options) {
  const RunConfig config = options.config();
  const StepFlops flops =
      step_flops(config.pretrain, config.data.seq_len, config.corruption.predictions);
  StepTimes times;
  times.model = layout_name(config.pretrain.model);
  times.on_cpu = device == Device::cpu;
  times.ranks = comm.size();
  times.seq_len = config.data.seq_len;
  times.batch = config.train.global_batch;
  times.shards = config.train.logical_shards;
  times.step_flops = static_cast<double>(flops.training()) * static_cast<double>(times.batch);
  {
    Context context(device);
    times.peak_flops = peak_flops(context, storage_dtype(config.precision, device), options);
    if (comm.size() == 1) times.parts = bench_layers(context, config, options.repeats);
  }
  time_whole_step(comm, device, config, options.repeats, times);
  return times;
}

}  // namespace funnel
