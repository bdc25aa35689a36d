// SPDX-License-Identifier: Apache-2.0
// funnel-pretrain: trains a model on shards, from the start or from what the run folder holds.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "launch/config.h"
#include "launch/device_choice.h"
#include "launch/signals.h"
#include "launch/trainer.h"
#include "parallel/device_comm.h"
#include "parallel/mpi_comm.h"
#include "parallel/together.h"
#include "parallel/world.h"

namespace {

using namespace funnel;

struct Options {
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> overrides;
  std::vector<std::string> data;
  std::filesystem::path run;
  bool print_config = false;
};

void declare(CLI::App& app, Options& options) {
  app.add_option(
         "--config", options.configs,
         "configuration in protobuf text format (configs/schema.proto documents every field); "
         "may be given several times, later files override earlier ones")
      ->required();
  app.add_option(
         "--set", options.overrides,
         "override one field, path=value, as in --set optimizer.learning_rate=3e-4; repeatable")
      ->allow_extra_args(false);
  app.add_option(
         "--data", options.data,
         "folder of shards made by funnel-shard build; several, as DIR:WEIGHT, are mixed in "
         "proportion to their weights (1 if none is given)")
      ->allow_extra_args(false);
  app.add_option("--run", options.run,
                 "run folder: made, or resumed if it holds a run; keeps config.textproto, log.txt, "
                 "metrics.jsonl and checkpoints");
  app.add_flag("--print-config", options.print_config, "print the resolved configuration and exit");
  app.footer(
      "Start it on R ranks with: mpirun -np R funnel-pretrain ...  (R a power of two that divides "
      "train.logical_shards)\n"
      "SIGTERM, SIGUSR1 and SIGINT finish the step, save and exit with 75; the same command "
      "resumes.\nExit codes: 0 done, 2 wrong usage or input, 75 saved and wants another life, "
      "93 a person must look, others: a crash.");
}

RunConfig configuration(Comm& comm, const Options& options) {
  RunConfig config;
  together(comm, [&] {
    config = load_config(options.configs, options.overrides);
    if (options.print_config) return;
    FUNNEL_CHECK_INPUT(!options.data.empty(), "--data is missing: a folder made by funnel-shard");
    FUNNEL_CHECK_INPUT(!options.run.empty(), "--run is missing: the folder of this run");
  });
  return config;
}

ExitCode run(const World& world, const Options& options) {
  auto host_comm = std::make_unique<MpiComm>(world);
  const RunConfig config = configuration(*host_comm, options);
  if (options.print_config) {
    if (world.rank() == 0) std::fputs(resolved_text(config).c_str(), stdout);
    return ExitCode::kDone;
  }
  RunPaths paths{.data = {}, .run = options.run};
  together(*host_comm, [&] {
    for (const std::string& text : options.data) paths.data.push_back(parse_data_source(text));
  });
  catch_stop_signals();
  const ChosenDevice chosen =
      choose_device(*host_comm, config.device, {world.host(), world.node_rank()});
  const std::unique_ptr<Comm> comm =
      comm_for_device(std::move(host_comm), chosen.device,
                      {.host_name = world.host(),
                       .deadline = std::chrono::seconds(config.train.peer_timeout_seconds)});
  Trainer trainer(*comm, config, paths, chosen);
  return trainer.run();
}

// Wrong usage is the same on every rank: one of them tells.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  const World world;
  if (world.rank() == 0) app.exit(error);
  return static_cast<int>(ExitCode::kUsage);
}

// An error of this rank alone ends the whole job, because other ranks may wait for this one.
int fail_alone(const World& world, const std::string& message, ExitCode code) {
  const bool says_where = message.find(concat("host ", world.host())) != std::string::npos;
  const std::string where = concat(" (rank ", world.rank(), ", host ", world.host(), ")");
  log_error(world.size() == 1 || says_where ? message : message + where);
  if (world.size() > 1) World::abort(static_cast<int>(code));
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Pretrains a Funnel-Transformer (ELECTRA or MLM), data-parallel over MPI ranks.");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  }
  World world;
  open_log(world.rank());
  try {
    return static_cast<int>(run(world, options));
  } catch (const SharedError& error) {
    if (world.rank() == 0) log_error(error.what());
    return static_cast<int>(error.exit_code());
  } catch (const Error& error) {
    return fail_alone(world, error.what(), error.exit_code());
  } catch (const std::exception& error) {
    return fail_alone(world, error.what(), ExitCode::kFailure);
  }
}
