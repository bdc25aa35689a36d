// SPDX-License-Identifier: Apache-2.0
// The end of a build, on one rank: joins the units' rests to the last shards, and writes the
// vocabulary and the index from the units' records.
#pragma once

#include <vector>

#include "tools/funnel_shard/job_builder.h"

namespace funnel::shard_tool {

// `units` are all records, in order. Throws an input error when there is no example at all.
// Returns what to tell people.
std::string assemble(const BuildSetup& setup, const std::vector<std::vector<UnitRecord>>& units);

}  // namespace funnel::shard_tool
