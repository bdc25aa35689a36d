// SPDX-License-Identifier: Apache-2.0
// funnel-inspect: what a model costs before it is trained, what a run has learned, and what a
// checkpoint holds.
#include <CLI/CLI.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/config.h"
#include "tools/funnel_inspect/checkpoint_report.h"
#include "tools/funnel_inspect/model_report.h"
#include "tools/funnel_inspect/run_report.h"

namespace {

struct ModelOptions {
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> overrides;
  std::string baseline;
  int64_t seq_len = 0;  // 0: the config's
  int64_t batch = 0;    // 0: the config's
  int64_t ranks = 1;
};

void add_model_command(CLI::App& app, ModelOptions& options) {
  CLI::App* model = app.add_subcommand(
      "model",
      "Print a model's parameters, its floating-point operations by layer and by training step, "
      "the memory that training needs, and how the model compares with a baseline.\nExample: "
      "funnel-inspect model --config "
      "configs/electra-B4-4-4H768.textproto --set model.decoder=1 --seq-len 128");
  model
      ->add_option("--config", options.configs,
                   "Config file in the text format of configs/schema.proto; may be given again, "
                   "later files win")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->required();
  model
      ->add_option("--set", options.overrides,
                   "Override one field, such as model.blocks=6,3x2,3x2; may be given again")
      ->type_name("PATH=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  model
      ->add_option("--seq-len", options.seq_len,
                   "Tokens in a sequence; predictions follow in proportion (default: the config's)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  model
      ->add_option("--batch", options.batch,
                   "Sequences in a step (default: the config's train.global_batch)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  model
      ->add_option("--ranks", options.ranks,
                   "Ranks that share the logical shards of a step, for the memory of one (default: "
                   "1)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  model
      ->add_option("--baseline", options.baseline,
                   "What to compare with: a layout such as L24H1024, or a config file (default: "
                   "L24H1024 for a width of 1024 or more, otherwise L12H768)")
      ->type_name("LAYOUT|FILE");
}

void inspect_model(const ModelOptions& options) {
  funnel::RunConfig config = funnel::load_config(options.configs, options.overrides);
  if (options.seq_len > 0) funnel::set_sequence_length(config, options.seq_len);
  const funnel::FunnelConfig& model = config.pretrain.model;
  const std::string baseline =
      options.baseline.empty() ? funnel::default_baseline(model) : options.baseline;
  std::cout << funnel::model_report(config, funnel::baseline_network(baseline, model.vocab),
                                    options.batch > 0 ? options.batch : config.train.global_batch,
                                    options.ranks);
}

void add_run_command(CLI::App& app, std::filesystem::path& folder) {
  CLI::App* run = app.add_subcommand(
      "run",
      "Print what a run has learned so far, how fast it went, what it has saved and what to type "
      "next. The run may be at work.\nExample: funnel-inspect run RUN");
  run->add_option("folder", folder, "The run folder of funnel-pretrain --run")
      ->type_name("FOLDER")
      ->required();
}

void add_checkpoint_command(CLI::App& app, funnel::CheckpointReportOptions& options) {
  CLI::App* checkpoint = app.add_subcommand(
      "checkpoint",
      "Print what a checkpoint holds, as its manifest states it.\nExample: funnel-inspect "
      "checkpoint RUN --verify");
  checkpoint
      ->add_option("path", options.path,
                   "A checkpoint, or a run folder or folder of checkpoints for its newest")
      ->type_name("FOLDER")
      ->required();
  checkpoint->add_flag("--verify", options.verify,
                       "Read every file and check it against the manifest; exit 93 on damage");
  checkpoint->add_flag("--parameters", options.parameters,
                       "Also list every parameter with its shape and place");
  checkpoint->add_flag("--config", options.config, "Also print the configuration of the run");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Inspect Funnel-Transformer models, runs and checkpoints.", "funnel-inspect");
  app.require_subcommand(1, 1);
  app.set_help_all_flag("--help-all", "Print the help of every command and exit");
  ModelOptions model;
  add_model_command(app, model);
  std::filesystem::path run;
  add_run_command(app, run);
  funnel::CheckpointReportOptions checkpoint;
  add_checkpoint_command(app, checkpoint);
  try {
    app.parse(argc, argv);
    if (app.got_subcommand("model")) {
      inspect_model(model);
    } else if (app.got_subcommand("run")) {
      std::cout << funnel::run_report(run, std::filesystem::path(argv[0]).parent_path());
    } else {
      std::cout << funnel::checkpoint_report(checkpoint);
    }
    return static_cast<int>(funnel::ExitCode::kDone);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(funnel::ExitCode::kUsage);
  } catch (const funnel::Error& error) {
    std::cerr << "funnel-inspect: " << error.what() << '\n';
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    std::cerr << "funnel-inspect: " << error.what() << '\n';
    return static_cast<int>(funnel::ExitCode::kFailure);
  }
}
