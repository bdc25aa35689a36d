// SPDX-License-Identifier: Apache-2.0
// The unfinished state of a build, OUTPUT/.build: the plan, the records of finished units and their
// rests. It is what lets a build go on after any kind of end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/funnel_shard/unit_record.h"

namespace funnel::shard_tool {

class WorkFolder {
 public:
  explicit WorkFolder(std::filesystem::path output)
      : output_(std::move(output)), path_(output_ / kWorkFolder) {}

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& output() const { return output_; }
  std::filesystem::path held_out() const { return output_ / kHeldOutFolder; }

  // On one rank: makes the folders (that of the held-out set too, where there will be one) and
  // stores the plan, or finds an unfinished build of the same plan, whose half-written files and
  // index go. One without a finished unit makes room for any plan; `start_over` removes the others.
  // Throws an input error when the folder holds a data set, shards of no known build, or an
  // unfinished build of another plan (naming the first difference); or when another process builds
  // here now.
  void begin(const std::string& plan, bool with_held_out, bool start_over);

  // The records of every job's finished units, in order, as far as they have no gap and their
  // files are there in full size.
  std::vector<std::vector<UnitRecord>> finished_units(int64_t jobs) const;

  void write(const UnitRecord& record) const;
  UnitRecord read(int64_t job, int64_t part) const;

  // After all is written; the plan goes first, and with it what could be gone on with.
  void remove() const;

 private:
  void lock();
  void remove_shards() const;
  bool files_are_there(const UnitRecord& record) const;

  std::filesystem::path output_;
  std::filesystem::path path_;
};

}  // namespace funnel::shard_tool
