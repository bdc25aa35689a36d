// SPDX-License-Identifier: Apache-2.0
// The memory part of what "funnel-inspect model" prints. The counting is core/model/model_memory's.
#pragma once

#include <cstdint>
#include <string>

#include "launch/config.h"

namespace funnel {

// The activations kept for one micro-batch of `sequences`, and what one of `ranks` ranks holds in
// all. Throws an input error if so many ranks cannot share the logical shards.
std::string memory_report(const RunConfig& config, int64_t sequences, int64_t ranks);

}  // namespace funnel
