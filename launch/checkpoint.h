// SPDX-License-Identifier: Apache-2.0
// Saving and loading the state of training. RUN/checkpoints/step-00001000/ holds the flat state
// (values and both moments) in slices, one HDF5 file each, and a manifest. Neither slices nor
// manifest know the number of ranks, so any number resumes any checkpoint.
//
// A checkpoint appears by one rename after all its files are on the disk, so it is whole or
// absent, whatever is killed and when. Names beginning with ".tmp-" are leftovers of dead runs.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/tensor.h"
#include "launch/checkpoint_manifest.h"
#include "parallel/comm.h"

namespace funnel {

// Everything that resuming needs. All ranks hold the same.
struct TrainingState {
  std::string run_id;
  int64_t step = 0;
  int64_t samples = 0;
  uint64_t seed = 0;
  std::string config_text;
  std::string vocabulary_digest;
  std::vector<ParamEntry> layout;
  Tensor values, moment1, moment2;  // f32 [elements]; both moments may be null
};

struct SaveOptions {
  int keep_last = 2;                          // checkpoints that stay, at least 2
  int64_t slice_elements = int64_t{1} << 24;  // elements in a file, the same on any number of ranks
  // Called before each act that changes the disk, on the rank that does it; what it throws counts
  // as a failure of that act. Faults are injected here.
  std::function<void(const std::string& act)> before;
};

// Collective. Writes FOLDER/step-N, reads it back, then deletes the oldest checkpoints beyond
// keep_last; a checkpoint of the same step is replaced. Slice i is the work of rank i mod size().
// On failure every rank throws the same Error; the older checkpoints are as they were.
// Returns the checkpoint's folder.
std::filesystem::path save_checkpoint(Comm& comm, const std::filesystem::path& folder,
                                      const TrainingState& state, const SaveOptions& options = {});

// Collective. Checks everything that the manifest of `checkpoint` says, then overwrites `state`:
// its scalars and texts, and the tensors that are not null. Given on entry and not empty, these are
// compared: run_id, layout and vocabulary_digest.
//
// Damage is an Error with ExitCode::kNeedsHuman that names file, expected and found; a checkpoint
// of another model or vocabulary is an input error. After an Error the tensors are unspecified.
void load_checkpoint(Comm& comm, const std::filesystem::path& checkpoint, TrainingState& state);

struct DamagedCheckpoint {
  std::filesystem::path path;
  std::string reason;
};
struct Resumed {
  std::filesystem::path path;              // the checkpoint that was loaded; empty if there is none
  std::vector<DamagedCheckpoint> damaged;  // newer ones that were passed over, newest first
};

// Collective. Loads the newest checkpoint of the folder that is not damaged. If there are some and
// all are damaged, throws an Error with ExitCode::kNeedsHuman.
Resumed load_newest_checkpoint(Comm& comm, const std::filesystem::path& folder,
                               TrainingState& state);

}  // namespace funnel
