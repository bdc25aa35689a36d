// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_inspect/model_report.h"

#include <algorithm>
#include <regex>
#include <vector>

#include "core/base/error.h"
#include "tools/funnel_inspect/memory_report.h"
#include "tools/funnel_inspect/table.h"

namespace funnel {

namespace {

// What operations are counted in: large models in GFLOP a sequence, small ones in MFLOP.
struct Unit {
  double flops;
  const char* per_sequence;
  const char* per_step;

  std::string of_sequence(int64_t count) const {
    return fixed(static_cast<double>(count) / flops, 2);
  }
  // A thousand times larger.
  std::string of_step(int64_t count, int64_t batch) const {
    return fixed(static_cast<double>(count) * static_cast<double>(batch) / flops / 1000, 3);
  }
};

Unit unit_for(int64_t flops) {
  if (flops < 10'000'000'000) return {1e6, "MFLOP", "GFLOP"};
  return {1e9, "GFLOP", "TFLOP"};
}

StepFlops step_flops_of(const RunConfig& config) {
  return step_flops(config.pretrain, config.data.seq_len, config.corruption.predictions);
}

std::string ratio(double value, double baseline) {
  return fixed(value / baseline, 3);
}

std::string layer_note(int64_t layers, int64_t parameters) {
  return concat(layers, " x ", grouped(parameters));
}

std::string parameter_table(const PretrainConfig& config) {
  const ParameterCounts counts = count_parameters(config.model);
  const PretrainParameterCounts trained = count_parameters(config);
  Table table;
  table.add({"embedding", grouped(counts.embedding)});
  if (counts.input_projection > 0) {
    table.add({"input projection", grouped(counts.input_projection)});
  }
  table.add({"encoder layers", grouped(counts.encoder_layers),
             layer_note(counts.encoder_layers / counts.layer, counts.layer)});
  table.add({"encoder", grouped(counts.encoder())});
  if (config.model.has_decoder()) {
    table.add({"decoder layers", grouped(counts.decoder_layers),
               layer_note(config.model.decoder.layers, counts.layer)});
    table.add({"encoder + decoder", grouped(counts.network())});
  }
  if (config.objective == Objective::mlm) {
    table.add({"MLM head", grouped(trained.head)});
  } else {
    table.add({"discriminator head", grouped(trained.head)});
    table.add({"generator beside the shared embedding", grouped(trained.generator)});
  }
  table.add({"trained in total", grouped(trained.total())});
  return "\nParameters\n" + table.text();
}

std::string layer_table(const char* title, const FunnelConfig& network, int64_t seq,
                        const Unit& unit) {
  Table table;
  table.add({"", "times", "queries", "keys", "projections", "content", "position", "segment",
             "feed-forward", "one layer", "all"});
  for (const LayerRun& run : layer_runs(network, seq, PositionScores::shifted)) {
    const LayerFlops& flops = run.flops;
    table.add({run_name(run), concat(run.applications), concat(run.queries), concat(run.keys),
               unit.of_sequence(flops.projections), unit.of_sequence(flops.content),
               unit.of_sequence(flops.position), unit.of_sequence(flops.segment),
               unit.of_sequence(flops.feed_forward), unit.of_sequence(flops.total()),
               unit.of_sequence(run.total())});
  }
  return concat("\n", title, ": forward ", unit.per_sequence, " of one sequence of ", seq, "\n",
                table.text());
}

std::string step_table(const RunConfig& config, int64_t batch, const Unit& unit) {
  const bool is_electra = config.pretrain.objective == Objective::electra;
  const StepFlops step = step_flops_of(config);
  Table table;
  table.add({"", concat(unit.per_sequence, "/sequence"), concat(unit.per_step, "/step")});
  const auto add = [&](const std::string& name, int64_t flops) {
    table.add({name, unit.of_sequence(flops), unit.of_step(flops, batch)});
  };
  if (is_electra) {
    add("generator", step.generator);
    add("generator's MLM head", step.generator_head);
    add("discriminator", step.network);
    add("discriminator head", step.head);
  } else {
    add("network", step.network);
    add("MLM head", step.head);
  }
  add("forward", step.forward());
  add("forward and backward", step.training());
  return concat("\nOne step of ", batch, " sequences of ", config.data.seq_len, " with ",
                config.corruption.predictions, " predictions each\n", table.text());
}

double operations(const FunnelConfig& network, int64_t seq, PositionScores position,
                  bool with_decoder) {
  const NetworkFlops flops = network_flops(network, seq, position);
  return static_cast<double>(with_decoder ? flops.total() : flops.encoder());
}

// weighted_depth * width^2, with the decoder's layers at full length or without them.
double depth_cost(const FunnelConfig& network, bool with_decoder) {
  const double width = static_cast<double>(network.width);
  const double decoder = static_cast<double>(network.decoder.applications());
  return (weighted_depth(network) + (with_decoder ? decoder : 0.0)) * width * width;
}

std::string ratio_table(const FunnelConfig& model, const FunnelConfig& baseline, int64_t seq) {
  Table table;
  table.add({"", "encoder", "with decoder"});
  const auto parameters = [&](bool with_decoder) {
    const ParameterCounts mine = count_parameters(model);
    const ParameterCounts its = count_parameters(baseline);
    return ratio(static_cast<double>(with_decoder ? mine.network() : mine.encoder()),
                 static_cast<double>(with_decoder ? its.network() : its.encoder()));
  };
  table.add({"parameters", parameters(false), parameters(true)});
  table.add({"layers x share of positions x width^2 (the paper's figures)",
             ratio(depth_cost(model, false), depth_cost(baseline, false)),
             ratio(depth_cost(model, true), depth_cost(baseline, true))});
  const auto add = [&](const char* name, PositionScores position) {
    const auto value = [&](bool with_decoder) {
      return ratio(operations(model, seq, position, with_decoder),
                   operations(baseline, seq, position, with_decoder));
    };
    table.add({name, value(false), value(true)});
  };
  add("operations", PositionScores::shifted);
  add("operations without position scores", PositionScores::not_counted);
  add("operations with factorized position scores (TPU code)", PositionScores::factorized);
  return concat("\nAgainst ", layout_name(baseline), " (= 1) at ", seq, " positions\n",
                table.text(),
                "  The figures' own unit is L12H768: ", fixed(relative_cost(model), 4), "\n");
}

}  // namespace

std::string run_name(const LayerRun& run) {
  if (run.is_decoder) return "decoder";
  return concat("block ", run.block + 1, run.is_pooling ? ", pooling layer" : "");
}

std::string model_headline(const RunConfig& config) {
  const FunnelConfig& model = config.pretrain.model;
  const bool is_electra = config.pretrain.objective == Objective::electra;
  std::string text = concat(layout_name(model), is_electra ? ", ELECTRA" : ", MLM", ", vocabulary ",
                            grouped(model.vocab), config.vocab_is_set ? "" : " (assumed: not set)");
  if (is_electra) {
    const FunnelConfig generator = generator_config(config.pretrain);
    text += concat(", generator ", layout_name(generator), " with ", generator.heads,
                   generator.heads == 1 ? " head" : " heads", " and inner ", generator.inner);
  }
  return text;
}

void set_sequence_length(RunConfig& config, int64_t seq_len) {
  const int64_t before = config.data.seq_len;
  config.corruption.predictions =
      std::max<int64_t>(1, config.corruption.predictions * std::max<int64_t>(seq_len, 0) / before);
  config.data.seq_len = seq_len;
  validate(config);
}

FunnelConfig baseline_network(const std::string& name, int64_t vocab) {
  static const std::regex layout("[LB]([0-9]+(x[0-9]+)?(-[0-9]+(x[0-9]+)?)*)H([0-9]+)");
  std::smatch match;
  RunConfig config;
  if (std::regex_match(name, match, layout)) {
    const std::string blocks = std::regex_replace(match[1].str(), std::regex("-"), "' blocks: '");
    config = parse_config(concat("model { width: ", match[5].str(), " blocks: '", blocks,
                                 "' }"
                                 " objective { kind: MLM }"),
                          name);
  } else {
    FUNNEL_CHECK_INPUT(std::filesystem::exists(name),
                       "--baseline: expected a layout such as L12H768 or a config file, found \"",
                       name, '"');
    config = load_config(std::vector<std::filesystem::path>{name});
  }
  if (!config.vocab_is_set) config.pretrain.model.vocab = vocab;
  return config.pretrain.model;
}

std::string default_baseline(const FunnelConfig& config) {
  return config.width >= 1024 ? "L24H1024" : "L12H768";
}

std::string model_report(const RunConfig& config, const FunnelConfig& baseline, int64_t batch,
                         int64_t ranks) {
  const PretrainConfig& pretrain = config.pretrain;
  const int64_t seq = config.data.seq_len;
  const Unit unit = unit_for(step_flops_of(config).forward());
  std::string text = model_headline(config) + "\n" + parameter_table(pretrain);
  if (pretrain.objective == Objective::electra) {
    text += layer_table("Discriminator", pretrain.model, seq, unit);
    text += layer_table("Generator", generator_config(pretrain), seq, unit);
  } else {
    text += layer_table("Network", pretrain.model, seq, unit);
  }
  const int64_t shards = config.train.logical_shards;
  return text + step_table(config, batch, unit) +
         memory_report(config, (batch + shards - 1) / shards, ranks) +
         ratio_table(pretrain.model, baseline, seq);
}

}  // namespace funnel
