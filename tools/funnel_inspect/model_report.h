// SPDX-License-Identifier: Apache-2.0
// What "funnel-inspect model" prints: parameters, operations by layer and by step, memory, and
// ratios to a baseline. The counting is core/model's; this only lays it out.
#pragma once

#include <cstdint>
#include <string>

#include "core/model/model_cost.h"
#include "launch/config.h"

namespace funnel {

// Sets the sequence length, and the predictions in proportion. Throws an input error if the model
// cannot take it.
void set_sequence_length(RunConfig& config, int64_t seq_len);

// The network that a baseline names: a layout such as "L12H768" with the paper's proportions (heads
// of 64, inner 4 * width), or a config file. `vocab` is what a layout leaves open.
FunnelConfig baseline_network(const std::string& name, int64_t vocab);

// The paper's baseline of a model's size: L24H1024 from a width of 1024, otherwise L12H768.
std::string default_baseline(const FunnelConfig& config);

// "B4-4-4H768, ELECTRA, vocabulary 30,522, generator B4-4-4H192 with 3 heads and inner 768"
std::string model_headline(const RunConfig& config);

// "block 2, pooling layer"
std::string run_name(const LayerRun& run);

// The whole report, for steps of `batch` sequences in the config's logical shards on `ranks` ranks.
std::string model_report(const RunConfig& config, const FunnelConfig& baseline, int64_t batch,
                         int64_t ranks);

}  // namespace funnel
