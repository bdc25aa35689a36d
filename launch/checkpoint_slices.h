// SPDX-License-Identifier: Apache-2.0
// One file of a checkpoint: a slice of the flat state. Used by saving and loading.
#pragma once

#include <filesystem>

#include "launch/checkpoint.h"

namespace funnel {

// The tensors of the state that are given, by their names in files.
struct NamedTensor {
  const char* name;
  Tensor tensor;
};
std::vector<NamedTensor> tensors_of(const TrainingState& state);

// Writes elements [slice.first, slice.first + slice.elements) of every given tensor to
// folder/slice.name and fills in the slice's bytes and sha256.
void write_slice(const std::filesystem::path& folder, const TrainingState& state,
                 SliceEntry& slice);

// Throws, naming the file, unless its size and SHA-256 are the slice's.
void check_slice_bytes(const std::filesystem::path& folder, const SliceEntry& slice);

// Checks the file's bytes before HDF5 sees them, then its contents against the manifest, and
// overwrites the slice of every given tensor of the state. Damage is an Error with
// ExitCode::kNeedsHuman.
void read_slice(const std::filesystem::path& folder, const CheckpointManifest& manifest,
                const SliceEntry& slice, const TrainingState& state);

}  // namespace funnel
