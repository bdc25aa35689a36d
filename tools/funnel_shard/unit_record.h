// SPDX-License-Identifier: Apache-2.0
// What came of one unit of a build: the part of a job that became one shard. A record is written
// after all its files, so a unit that has one is finished and is never done again. Examples beyond
// whole chunks wait in a file of their own (the rest) for the build's last shards.
//
// Records and rests lie in OUTPUT/.build, which goes when the index has been written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/data_index.h"

namespace funnel::shard_tool {

inline constexpr char kWorkFolder[] = ".build";
inline constexpr char kPlanFile[] = "plan.textproto";

// A unit's share in one data set.
struct UnitShare {
  int64_t documents = 0;
  int64_t tokens = 0;
  std::optional<ShardEntry> shard;
  std::optional<ShardEntry> rest;
};

struct UnitRecord {
  int64_t job = 0;
  int64_t part = 0;   // of the job
  bool last = false;  // the job has no further part
  int64_t bytes = 0;  // of text
  int64_t unknown = 0;
  int64_t bad_lines = 0;
  int64_t duplicates = 0;
  std::string first_bad_line;
  std::string text_digest;  // of what a stream gave up to the unit's end
  UnitShare training;
  UnitShare held_out;
};

// "00012" for the first part of job 12, "00012-0003" for its fourth.
std::string unit_name(int64_t job, int64_t part);

std::string to_text(const UnitRecord& record);
UnitRecord parse_unit_record(const std::string& text, const std::string& source);

}  // namespace funnel::shard_tool
