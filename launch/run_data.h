// SPDX-License-Identifier: Apache-2.0
// The data of a run: what it trains on, and what its data sets hold out for evaluation.
#pragma once

#include <optional>
#include <vector>

#include "data/mixture.h"
#include "launch/config.h"

namespace funnel {

struct RunData {
  Mixture training;
  std::optional<Mixture> held_out;  // of the sources that have a folder held_out, if any has
};

// Opens all folders and holds them to the configuration, which takes the vocabulary's size and the
// weights from them. Ranks share the work of checking shards. Throws an input error naming the
// folder or field, what was expected and what was found.
RunData open_run_data(std::vector<DataSource> sources, CheckShare share, RunConfig& config);

}  // namespace funnel
