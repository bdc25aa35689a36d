// SPDX-License-Identifier: Apache-2.0
// The examples of one unit on their way to the disk, and what all jobs of a build share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/data_index.h"
#include "tools/funnel_shard/build_options.h"
#include "tools/funnel_shard/work_folder.h"

namespace funnel::shard_tool {

// What all jobs of a build share.
struct BuildSetup {
  const BuildOptions& options;
  const Vocabulary& vocabulary;
  DataIndex training;  // without shards
  DataIndex held_out;
  WorkFolder folder;
};

// Examples of a unit, in memory.
struct Examples {
  std::vector<int32_t> ids;  // [rows, seq_len]
  std::vector<int32_t> segment_a_length;

  int64_t rows() const { return static_cast<int64_t>(segment_a_length.size()); }
  void add(std::span<const int32_t> row, int64_t a);
};

// Writes the training set's examples of a unit, or the held-out set's: whole chunks as the unit's
// shard, what is left as its rest. Enters both into the record.
void write_training(const BuildSetup& setup, const Examples& examples, UnitRecord& record);
void write_held_out(const BuildSetup& setup, const Examples& examples, UnitRecord& record);

}  // namespace funnel::shard_tool
