// SPDX-License-Identifier: Apache-2.0
// Threads that keep a few batches ahead of training: for each step from the first on, one batch per
// lane range (a rank's logical shards), without end. Each thread fills another batch; they are
// handed out in order.
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
  // Starts at once. `depth` >= 2 batches are kept: the one in use and those ahead, filled by
  // `readers` >= 1 threads. The loader must outlive this.
  Prefetcher(const Loader& loader, int64_t first_step, std::vector<LaneRange> ranges,
             int64_t depth = 4, int readers = 1);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next batch, valid until the next call. Rethrows what went wrong on a thread, after the
  // batches that come before it.
  const Batch& next();

  // How long next() has waited for batches so far, the very first one left out.
  double waited_seconds() const { return waited_seconds_; }
  int64_t waits() const { return waits_; }

 private:
  struct Slot {
    Batch batch;
    int64_t filled = -1;  // number of the batch it holds
  };

  void run();
  // Waits for room and takes the number of the next batch to fill; negative: the work is over.
  int64_t claim();
  Slot& slot(int64_t i) { return ring_[static_cast<size_t>(i) % ring_.size()]; }

  const Loader& loader_;
  const int64_t first_step_;
  const std::vector<LaneRange> ranges_;
  std::vector<Slot> ring_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t claimed_ = 0;            // batches that threads have begun so far
  int64_t taken_ = 0;              // batches handed out so far; the last of them is in use
  int64_t failed_at_ = INT64_MAX;  // the first batch that could not be filled
  std::exception_ptr failure_;
  bool is_stopping_ = false;

  double waited_seconds_ = 0;
  int64_t waits_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace funnel
