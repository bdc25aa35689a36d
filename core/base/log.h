// SPDX-License-Identifier: Apache-2.0
// The log front. Rank 0 informs, every rank warns; ops and layers never log.
#pragma once

#include <filesystem>
#include <string>

namespace funnel {

// Where messages go, and how they are told apart. Called once at start; before, messages go to
// standard error without a rank.
//   rank: written into every warning and error; only rank 0 writes informational messages.
//   file: this rank's messages are also appended there when it is not empty.
void open_log(int rank, const std::filesystem::path& file = {});

void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

}  // namespace funnel
