// SPDX-License-Identifier: Apache-2.0
// The report of a finished data set.
#pragma once

#include <filesystem>
#include <string>

#include "parallel/comm.h"

namespace funnel::shard_tool {

// Collective. The ranks count the examples of a data folder together; rank 0 writes
// FOLDER/report.txt and gets its text.
std::string write_report(const std::filesystem::path& folder, Comm& comm);

}  // namespace funnel::shard_tool
