// SPDX-License-Identifier: Apache-2.0
// The folder that holds a run's checkpoints: their names, and what may be moved or deleted. Only
// the holder of the run folder's lock changes anything.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace funnel {

// "step-00001000"
std::string checkpoint_name(int64_t step);

// The step of a checkpoint's folder, or -1 if it is not named like one.
int64_t step_of(const std::filesystem::path& checkpoint);

// All checkpoints, newest step first. A missing folder has none.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);

// Clears up after dead runs: deletes what begins with ".tmp-" and puts back a checkpoint whose
// replacement never came. Makes the folder if it is missing.
void recover_checkpoint_folder(const std::filesystem::path& folder);

// Puts a finished folder under its name; a checkpoint that has the name already is kept until then.
void publish_checkpoint(const std::filesystem::path& finished,
                        const std::filesystem::path& checkpoint);

// Renames a damaged checkpoint to "damaged-...", where a person can look at it and nothing here
// counts it any more. Returns the new path.
std::filesystem::path set_aside_checkpoint(const std::filesystem::path& checkpoint);

// Deletes all but the newest keep_last checkpoints.
void prune_checkpoints(const std::filesystem::path& folder, int keep_last);

}  // namespace funnel
