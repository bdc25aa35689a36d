// SPDX-License-Identifier: Apache-2.0
// Which documents of a build were there before, in the order of the inputs. First all ranks digest
// the documents of their jobs, then rank 0 finds the repeated ones, with 20 bytes of memory a
// document. What is found lies in the work folder, so a restarted build does not look again.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/comm.h"
#include "tools/funnel_shard/job_builder.h"

namespace funnel::shard_tool {

// Collective. Reads all the text once. Throws an input error when a job can be read only once.
void find_duplicates(const BuildSetup& setup, const std::vector<Job>& jobs, const World& world,
                     Comm& comm);

// The numbers, ascending, of a job's documents that find_duplicates() told to drop.
std::vector<int64_t> duplicates_of(const WorkFolder& folder, int64_t job);

}  // namespace funnel::shard_tool
