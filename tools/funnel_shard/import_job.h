// SPDX-License-Identifier: Apache-2.0
// A job whose file holds the ready examples of another program (bert_examples.h). They become ours
// row by row, in their order, padded to the build's length; every unit is a shard's rows.
#pragma once

#include <cstdint>

#include "tools/funnel_shard/build_plan.h"
#include "tools/funnel_shard/progress.h"
#include "tools/funnel_shard/unit_examples.h"

namespace funnel::shard_tool {

// Writes the job's units from number `finished` on, each with its record. Throws an input error
// naming file and row when an example does not fit.
void import_job(const BuildSetup& setup, const Job& job, int64_t number, int64_t finished,
                Progress& progress);

}  // namespace funnel::shard_tool
