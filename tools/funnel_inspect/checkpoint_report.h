// SPDX-License-Identifier: Apache-2.0
// What "funnel-inspect checkpoint" prints: the manifest of a checkpoint, for people.
#pragma once

#include <filesystem>
#include <string>

namespace funnel {

struct CheckpointReportOptions {
  std::filesystem::path path;  // a checkpoint, a folder of checkpoints or a run folder
  bool verify = false;         // read every file too
  bool parameters = false;     // list them
  bool config = false;         // print it
};

// Throws an input error where there is no checkpoint, and one with ExitCode::kNeedsHuman where it
// is damaged.
std::string checkpoint_report(const CheckpointReportOptions& options);

}  // namespace funnel
