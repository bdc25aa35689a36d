// SPDX-License-Identifier: Apache-2.0
// funnel-bench: how fast this machine is at what pretraining needs, and how near it comes to what
// it could do at best. Everything is checked before it is timed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>

#include "core/backend/stopwatch.h"
#include "core/base/log.h"
#include "launch/device_choice.h"
#include "parallel/device_comm.h"
#include "parallel/mpi_comm.h"
#include "parallel/world.h"
#include "tools/funnel_bench/attention_bench.h"
#include "tools/funnel_bench/gelu_bench.h"
#include "tools/funnel_bench/matmul_bench.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/report.h"

namespace {

using namespace funnel;

int report(const ChosenDevice& chosen, const std::vector<Measurement>& rows,
           const BenchOptions& options, double copy_bytes_per_ms = 0) {
  std::printf("%s\n", chosen.text.c_str());
  print_measurements(rows, copy_bytes_per_ms);
  if (!options.json.empty()) write_measurements(options.json, chosen.text, rows);
  const bool right =
      std::all_of(rows.begin(), rows.end(), [](const Measurement& row) { return row.right(); });
  return right ? 0 : static_cast<int>(ExitCode::kFailure);
}

// Bytes read and bytes written, as far as a device can go.
Measurement copy_ceiling(Context& context, int64_t bytes, int repeats) {
  const Buffer memory(context.device(), 2 * bytes);
  const Tensor both = memory.tensor({2 * bytes}, DType::u8);
  context.fill_zero(both);
  Measurement row{.name = concat("copy of ", bytes >> 20, " MiB"), .part = "copy", .path = {}};
  row.dtype = DType::u8;
  row.bytes = 2.0 * static_cast<double>(bytes);
  row.milliseconds = median_ms(
      context, repeats, [&] { context.copy(both.slice(0, {bytes}), both.slice(bytes, {bytes})); });
  return row;
}

int bench_device(const ChosenDevice& chosen, const BenchOptions& options) {
  Context context(chosen.device);
  std::vector<Measurement> rows{copy_ceiling(context, options.copy_mib << 20, options.repeats)};
  for (const DType dtype : options.element_types()) {
    rows.push_back(matmul_ceiling(context, dtype, options.edge, options.repeats));
  }
  return report(chosen, rows, options);
}

using Rows = std::vector<Measurement>;

// `bench`: the rows of one element type.
Rows rows_of(const BenchOptions& options, const std::function<Rows(DType)>& bench) {
  Rows rows;
  for (const DType dtype : options.element_types()) {
    for (const Measurement& row : bench(dtype)) rows.push_back(row);
  }
  return rows;
}

int bench_products(const ChosenDevice& chosen, const BenchOptions& options) {
  const RunConfig config = options.config();
  Context context(chosen.device);
  const Rows rows = rows_of(options, [&](DType dtype) {
    Rows more = bench_matmul(context, config, dtype, options.repeats, options.algorithms);
    if (options.algorithms == 1) return more;
    for (const Measurement& row : bench_gelu(context, config, dtype, options.repeats)) {
      more.push_back(row);
    }
    return more;
  });
  return report(chosen, rows, options);
}

int bench_attentions(const ChosenDevice& chosen, const BenchOptions& options) {
  const RunConfig config = options.config();
  Context context(chosen.device);
  return report(chosen,
                rows_of(options,
                        [&](DType dtype) {
                          return bench_attention(context, config, dtype, options.repeats);
                        }),
                options);
}

int bench_memory_kernels(const ChosenDevice& chosen, const BenchOptions& options) {
  const RunConfig config = options.config();
  Context context(chosen.device);
  const Measurement copy = copy_ceiling(context, options.copy_mib << 20, options.repeats);
  Rows rows{copy};
  for (const Measurement& row : rows_of(options, [&](DType dtype) {
         return bench_memory(context, config, dtype, options.repeats);
       })) {
    rows.push_back(row);
  }
  // A copy that was found wrong has no rate to compare with.
  const double rate = copy.milliseconds ? copy.bytes / *copy.milliseconds : 0;
  return report(chosen, rows, options, rate);
}

void declare_common(CLI::App& command, BenchOptions& options) {
  command
      .add_option("--device", options.device,
                  "where to measure: cpu, cuda, or auto: cuda if there is one")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}));
  command.add_option("--repeats", options.repeats, "timings of each part; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command.add_option("--json", options.json, "also write everything measured to this file");
}

void declare_config(CLI::App& command, BenchOptions& options) {
  command
      .add_option("--config", options.configs, "configuration, as for funnel-pretrain; repeatable")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--set", options.overrides, "override one field, path=value; repeatable")
      ->allow_extra_args(false);
  command
      .add_option("--vocab", options.vocab,
                  "vocabulary, where the configuration leaves it to the data")
      ->capture_default_str();
}

void declare_dtypes(CLI::App& command, BenchOptions& options) {
  command.add_option("--dtype", options.dtypes, "f32, bf16, or both: --dtype f32,bf16")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "bf16"}));
}

struct Commands {
  explicit Commands(CLI::App& app, BenchOptions& options)
      : device(app.add_subcommand("device", "what copies and large matrix products reach")),
        matmul(app.add_subcommand("matmul", "the matrix products of a step, one by one")),
        attention(app.add_subcommand("attention", "relative attention at a model's lengths")),
        memory(app.add_subcommand("memory",
                                  "what memory bounds, beside a copy: layer norm, "
                                  "embedding, vocabulary, optimizer")),
        step(app.add_subcommand("step", "a step, part by part and whole; also under mpirun")) {
    for (CLI::App* command : {device, matmul, attention, memory, step}) {
      declare_common(*command, options);
    }
    for (CLI::App* command : {matmul, attention, memory, step}) declare_config(*command, options);
    for (CLI::App* command : {device, matmul, attention, memory}) declare_dtypes(*command, options);
    for (CLI::App* command : {device, step}) {
      command->add_option("--edge", options.edge, "of the square product that shows a GPU's peak")
          ->capture_default_str()
          ->check(CLI::PositiveNumber);
    }
    for (CLI::App* command : {device, memory}) {
      command->add_option("--copy-mib", options.copy_mib, "MiB to copy")
          ->capture_default_str()
          ->check(CLI::PositiveNumber);
    }
    matmul
        ->add_option("--algorithms", options.algorithms,
                     "with more than 1, also time so many algorithms of the library for each "
                     "product, and GELU joined to products and apart")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.require_subcommand(1);
  }
  CLI::App *device, *matmul, *attention, *memory, *step;
};

DeviceChoice choice_of(const std::string& name) {
  if (name == "cpu") return DeviceChoice::cpu;
  return name == "cuda" ? DeviceChoice::cuda : DeviceChoice::fastest;
}

int run(const World& world, const Commands& commands, const BenchOptions& options) {
  auto host = std::make_unique<MpiComm>(world);
  const ChosenDevice chosen =
      choose_device(*host, choice_of(options.device), {world.host(), world.node_rank()});
  if (*commands.step) {
    const std::unique_ptr<Comm> comm =
        comm_for_device(std::move(host), chosen.device, {.host_name = world.host()});
    const StepTimes times = bench_step(*comm, chosen.device, options);
    if (world.rank() != 0) return 0;
    std::printf("%s\n", chosen.text.c_str());
    print_step(times);
    if (!options.json.empty()) write_step(options.json, chosen.text, times);
    return 0;
  }
  FUNNEL_CHECK_INPUT(world.size() == 1, "only funnel-bench step runs on several ranks");
  if (*commands.device) return bench_device(chosen, options);
  if (*commands.memory) return bench_memory_kernels(chosen, options);
  return *commands.matmul ? bench_products(chosen, options) : bench_attentions(chosen, options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures this machine at the parts of pretraining.");
  BenchOptions options;
  const Commands commands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  World world;
  try {
    return run(world, commands, options);
  } catch (const Error& error) {
    log_error(error.what());
    if (world.size() > 1) World::abort(static_cast<int>(error.exit_code()));
    return static_cast<int>(error.exit_code());
  }
}
