// SPDX-License-Identifier: Apache-2.0
// The display of a long piece of work over all ranks: one line that is rewritten on a terminal, a
// line now and then elsewhere, both on standard error of rank 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "parallel/mpi_tally.h"

namespace funnel::shard_tool {

// What has been done, on one rank or on all.
struct WorkDone {
  int64_t stored_bytes = 0;  // of the inputs, as stored
  int64_t text_bytes = 0;
  int64_t tokens = 0;
  int64_t units = 0;             // shards or parts of the work that are finished
  int64_t cpu_milliseconds = 0;  // of the process; counted by Progress
};

class Progress {
 public:
  // Collective. `total_bytes`: all that is to be read, as stored; 0 when nobody knows.
  Progress(const World& world, std::string title, int64_t total_bytes);

  // Adds to what this rank has done; shows it when it is time.
  void add(const WorkDone& more);

  // This rank is done. On rank 0: keeps the display going until all are, then returns the sum of
  // what was done; elsewhere returns what this rank did, at once.
  WorkDone finish();

 private:
  using Clock = std::chrono::steady_clock;

  void post(bool last);
  void show(const WorkDone& done, bool last);
  std::string line(const WorkDone& done) const;

  MpiTally tally_;
  std::string title_;
  int64_t total_bytes_;
  bool shows_;
  bool terminal_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_post_ = begin_;
  Clock::time_point next_line_;
  WorkDone mine_;
};

}  // namespace funnel::shard_tool
