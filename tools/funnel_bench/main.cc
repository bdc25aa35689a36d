// SPDX-License-Identifier: Apache-2.0
// funnel-bench: how long a pretraining step takes on this machine, part by part and whole, beside
// what the cores could do at best. Run it under mpirun to time several ranks together.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/backend/cpu/fma_peak.h"
#include "core/base/log.h"
#include "core/model/model_cost.h"
#include "launch/config.h"
#include "launch/learner.h"
#include "parallel/mpi_comm.h"
#include "parallel/world.h"
#include "tools/funnel_bench/layer_bench.h"
#include "tools/funnel_bench/synthetic_batch.h"
#include "tools/funnel_inspect/table.h"

namespace {

using namespace funnel;

struct Options {
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> overrides;
  int64_t vocab = 30522;
  int repeats = 9;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--config", options.configs, "configuration, as for funnel-pretrain; repeatable")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--set", options.overrides, "override one field, path=value; repeatable")
      ->allow_extra_args(false);
  app.add_option("--vocab", options.vocab,
                 "vocabulary, where the configuration leaves it to the data")
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "timings of each part; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

std::string percent(double share) {
  return fixed(100 * share, 1) + "%";
}

void print_layers(const RunConfig& config, int repeats, double peak) {
  Table table;
  table.add({"per logical shard, one thread", "calls", "GFLOP", "forward ms", "backward ms",
             "floor ms", "of peak"});
  for (const BenchRow& row : bench_layers(config, repeats)) {
    const double floor_ms = 1e3 * row.flops / peak;
    table.add({row.name, std::to_string(row.calls), fixed(row.flops / 1e9, 2),
               fixed(row.forward_ms, 2), fixed(row.backward_ms, 2), fixed(floor_ms, 2),
               row.flops == 0 ? "" : percent(floor_ms / row.milliseconds())});
  }
  std::fputs(table.text().c_str(), stdout);
}

// The median time of a whole step over all ranks, in seconds.
double step_seconds(Comm& comm, const RunConfig& config, int repeats) {
  Learner learner(comm, config);
  const SyntheticBatch shard(config);
  const auto next = [&]() -> const PretrainBatch& { return shard.batch(); };
  std::vector<double> seconds;
  for (int i = 0; i <= repeats; ++i) {
    comm.barrier();
    const auto start = std::chrono::steady_clock::now();
    learner.train_step(i, next, false);
    comm.barrier();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (i > 0) seconds.push_back(spent.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

void bench(const World& world, const Options& options) {
  RunConfig config = load_config(options.configs, options.overrides);
  if (!config.vocab_is_set) set_vocabulary(config, options.vocab, "--vocab");
  MpiComm comm(world);
  const bool is_root = comm.rank() == 0;
  const double peak = measure_fma_peak();
  if (is_root) {
    std::printf(
        "%s, sequences of %ld, %ld a step in %ld shards, %d rank(s); multiply-add peak "
        "%.1f GFLOP/s a core\n",
        layout_name(config.pretrain.model).c_str(), static_cast<long>(config.data.seq_len),
        static_cast<long>(config.train.global_batch),
        static_cast<long>(config.train.logical_shards), comm.size(), peak / 1e9);
    if (comm.size() == 1) print_layers(config, options.repeats, peak);
  }
  const double seconds = step_seconds(comm, config, options.repeats);
  if (!is_root) return;
  const StepFlops flops =
      step_flops(config.pretrain, config.data.seq_len, config.corruption.predictions);
  const double rate = static_cast<double>(config.train.global_batch) / seconds;
  const double flops_per_second = rate * static_cast<double>(flops.training());
  std::printf(
      "whole step: %.1f ms, %.2f sequences/s, %.0f tokens/s, %.1f GFLOP/s, %s of the peak of "
      "%d core(s)\n",
      1e3 * seconds, rate, rate * static_cast<double>(config.data.seq_len), flops_per_second / 1e9,
      percent(flops_per_second / (peak * comm.size())).c_str(), comm.size());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times the parts of a pretraining step, and the whole step, on this machine.");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  World world;
  try {
    bench(world, options);
    return 0;
  } catch (const Error& error) {
    log_error(error.what());
    World::abort(static_cast<int>(error.exit_code()));
  }
}
