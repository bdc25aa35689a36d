// SPDX-License-Identifier: Apache-2.0
// One thread that keeps a few batches ahead of training: for each step from the first on, one batch
// per lane range (a rank's logical shards), in order, without end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "data/loader.h"

namespace funnel {

struct LaneRange {
  int64_t first = 0;
  int64_t count = 0;
};

class Prefetcher {
 public:
  // Starts at once. `depth` >= 2 batches are kept: the one in use and those ahead. The loader must
  // outlive this.
  Prefetcher(const Loader& loader, int64_t first_step, std::vector<LaneRange> ranges,
             int64_t depth = 4);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next batch, valid until the next call. Rethrows what went wrong on the thread, after the
  // batches that came before it.
  const Batch& next();

  // How long next() has waited for batches so far, the very first one left out.
  double waited_seconds() const { return waited_seconds_; }
  int64_t waits() const { return waits_; }

 private:
  void run();

  const Loader& loader_;
  const int64_t first_step_;
  const std::vector<LaneRange> ranges_;
  std::vector<Batch> batches_;  // a ring; batch i lies at i % size

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t loaded_ = 0;  // batches filled so far
  int64_t taken_ = 0;   // batches handed out so far; the last of them is in use
  bool stopping_ = false;
  std::exception_ptr failure_;

  double waited_seconds_ = 0;
  int64_t waits_ = 0;
  std::thread thread_;
};

}  // namespace funnel
