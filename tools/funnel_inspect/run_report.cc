// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_inspect/run_report.h"

#include <cmath>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "data/durable_file.h"
#include "launch/checkpoint_folder.h"
#include "launch/checkpoint_manifest.h"
#include "launch/config.h"
#include "tools/funnel_inspect/metrics_history.h"
#include "tools/funnel_inspect/model_report.h"
#include "tools/funnel_inspect/table.h"

namespace funnel {

namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigName = "config.textproto";

RunConfig read_run_config(const fs::path& run) {
  FUNNEL_CHECK_INPUT(fs::is_directory(run), run.string(), ": expected a run folder, found ",
                     fs::exists(run) ? "a file" : "none");
  const fs::path path = run / kConfigName;
  FUNNEL_CHECK_INPUT(fs::exists(path), run.string(),
                     ": expected a run folder made by funnel-pretrain, found no ", kConfigName,
                     " in it");
  return parse_config(read_text_file(path), path.string());
}

struct Checkpoint {
  fs::path path;
  CheckpointManifest manifest;
  int64_t bytes = 0;
};

// The newest with a whole manifest; `damaged` takes what is wrong with newer ones.
std::optional<Checkpoint> newest_checkpoint(const fs::path& run, std::string& damaged) {
  for (const fs::path& path : list_checkpoints(run / "checkpoints")) {
    try {
      Checkpoint found{.path = path, .manifest = read_manifest(path)};
      for (const SliceEntry& slice : found.manifest.slices) found.bytes += slice.bytes;
      return found;
    } catch (const Error& error) {
      damaged += concat("  passed over       ", error.what(), "\n");
    }
  }
  return std::nullopt;
}

std::string percent(double share) {
  return fixed(100 * share, 1) + " %";
}

std::string heading(const RunConfig& config, int64_t steps_done) {
  const int64_t sequences = steps_done * config.train.global_batch;
  return concat(model_headline(config), "\n  data              ", config.train.global_batch,
                " sequences a step, of ", config.data.seq_len, " tokens with ",
                config.corruption.predictions, " to predict\n  steps done        ",
                grouped(steps_done), " of ", grouped(config.train.steps), ", which saw ",
                grouped(sequences), " sequences and ", grouped(sequences * config.data.seq_len),
                " tokens\n");
}

struct Quantity {
  const char* field;
  std::string name;
  bool is_share;
};

std::vector<Quantity> quantities(const RunConfig& config) {
  if (config.pretrain.objective == Objective::mlm) {
    return {{"loss", "loss", false}, {"mlm_accuracy", "tokens predicted right", true}};
  }
  return {{"loss",
           concat("loss (generator + ", config.pretrain.discriminator_weight, " x discriminator)"),
           false},
          {"mlm_loss", "generator loss", false},
          {"mlm_accuracy", "generator: tokens predicted right", true},
          {"discriminator_loss", "discriminator loss", false},
          {"discriminator_accuracy", "discriminator: tokens judged right", true},
          {"majority_accuracy", "  if it always gave the commoner answer", true}};
}

std::string value_text(const MetricsLine& line, const Quantity& quantity) {
  const std::optional<double> value = line.number(quantity.field);
  if (!value) return "";
  if (!std::isfinite(*value)) return "not finite";
  return quantity.is_share ? percent(*value) : fixed(*value, 4);
}

std::string learning_table(const RunConfig& config, const MetricsHistory& history) {
  std::vector<MetricsLine> lines{history.train.front(), history.train.back()};
  if (!history.eval.empty()) {
    lines.push_back(history.eval.front());
    lines.push_back(history.eval.back());
  }
  Table table;
  std::vector<std::string> kinds{"", "training", "training"};
  if (lines.size() > 2) kinds.insert(kinds.end(), {"held out", "held out"});
  std::vector<std::string> steps{"after step"};
  for (const MetricsLine& line : lines) steps.push_back(grouped(line.step));
  table.add(kinds);
  table.add(steps);
  for (const Quantity& quantity : quantities(config)) {
    std::vector<std::string> row{quantity.name};
    for (const MetricsLine& line : lines) row.push_back(value_text(line, quantity));
    table.add(row);
  }
  const bool has_eval = !history.eval.empty();
  return concat("\nLearned", has_eval ? "" : " (no held-out evaluation yet)", "\n", table.text());
}

// What the last judgement of the discriminator is worth.
std::string verdict(const MetricsHistory& history) {
  const bool has_eval = !history.eval.empty();
  const MetricsLine& last = has_eval ? history.eval.back() : history.train.back();
  const std::optional<double> right = last.number("discriminator_accuracy");
  const std::optional<double> commoner = last.number("majority_accuracy");
  if (!right || !commoner) return "";
  const double points = 100 * (*right - *commoner);
  return concat("  The discriminator is ", fixed(std::abs(points), 1), " points ",
                points >= 0 ? "better" : "worse", " than always giving the commoner answer",
                has_eval ? ", on held-out text" : "", ".\n");
}

std::string speed_section(const MetricsHistory& history) {
  std::string text = concat("\nSpeed (median of ", history.train.size(), " lines)\n");
  const auto add = [&](const char* name, const char* field, auto format) {
    const std::optional<double> value = median(history.train, field);
    if (value) text += concat("  ", name, format(*value), "\n");
  };
  add("tokens/s          ", "tokens_per_second",
      [](double value) { return grouped(std::llround(value)); });
  add("GFLOP/s           ", "flops_per_second", [](double value) { return fixed(value / 1e9, 1); });
  add("of the CPU's peak ", "share_of_peak", percent);
  add("waited for data   ", "data_wait_share", percent);
  return text;
}

std::string skipped_note(const MetricsHistory& history) {
  int64_t skipped = 0;
  for (const MetricsLine& line : history.train) skipped += line.number("skipped") == 1.0 ? 1 : 0;
  if (skipped == 0) return "";
  return concat("  ", skipped,
                " of these steps were skipped: a loss or gradient was not finite.\n");
}

std::string next_section(const RunConfig& config, const fs::path& run, int64_t saved_step,
                         bool has_checkpoint, const fs::path& programs) {
  const auto program = [&](const char* name) { return (programs / name).string(); };
  const bool is_done = saved_step >= config.train.steps;
  std::string text = "\nNext\n";
  text += concat("  ", is_done ? "train further" : "resume       ", "     ",
                 program("funnel-pretrain"), " --config ", (run / kConfigName).string(),
                 is_done ? concat(" --set train.steps=", 2 * config.train.steps) : "",
                 " --data DATA --run ", run.string(), "\n",
                 "                    with the DATA it was started with; mpirun -np R in front "
                 "for R ranks\n");
  if (has_checkpoint) {
    text += concat("  look inside       ", program("funnel-inspect"), " checkpoint ", run.string(),
                   " --parameters\n");
  }
  return text + "  read              docs/README.md, the guided tour of the engine\n";
}

std::string checkpoint_section(const std::optional<Checkpoint>& newest,
                               const std::string& damaged) {
  const std::string found =
      newest ? concat("  newest            ", newest->path.string(), "\n  holds             step ",
                      grouped(newest->manifest.step), ", ", grouped(newest->manifest.elements),
                      " parameters, ", size_text(newest->bytes), "\n")
             : std::string("  none yet\n");
  return "\nCheckpoint\n" + damaged + found;
}

}  // namespace

std::string run_report(const fs::path& run, const fs::path& programs) {
  const RunConfig config = read_run_config(run);
  const MetricsHistory history = read_metrics(run / "metrics.jsonl");
  std::string damaged;
  const std::optional<Checkpoint> newest = newest_checkpoint(run, damaged);
  const int64_t saved_step = newest ? newest->manifest.step : 0;
  const int64_t steps_done =
      std::max(saved_step, history.train.empty() ? 0 : history.train.back().step);
  std::string text = concat(run.string(), ": ", heading(config, steps_done));
  if (history.train.empty()) {
    text += "\nNo step has been logged yet.\n";
  } else {
    text += learning_table(config, history) + skipped_note(history) + verdict(history) +
            speed_section(history);
  }
  return text + checkpoint_section(newest, damaged) +
         next_section(config, run, saved_step, newest.has_value(), programs);
}

}  // namespace funnel
