// SPDX-License-Identifier: Apache-2.0
#include "data/prefetcher.h"

#include <chrono>

#include "core/base/error.h"

namespace funnel {

Prefetcher::Prefetcher(const Loader& loader, int64_t first_step, std::vector<LaneRange> ranges,
                       int64_t depth)
    : loader_(loader),
      first_step_(first_step),
      ranges_(std::move(ranges)),
      batches_(static_cast<size_t>(depth)) {
  FUNNEL_CHECK(depth >= 2 && !ranges_.empty(),
               "prefetcher: expected a depth of at least 2 and a lane range");
  thread_ = std::thread([this] { run(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Prefetcher::run() {
  const auto ranges = static_cast<int64_t>(ranges_.size());
  const auto depth = static_cast<int64_t>(batches_.size());
  try {
    for (int64_t i = 0;; ++i) {
      {
        // The batch in use, taken_ - 1, must not be overwritten.
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || i - (taken_ - 1) < depth; });
        if (stopping_) return;
      }
      const LaneRange& range = ranges_[static_cast<size_t>(i % ranges)];
      loader_.load(first_step_ + i / ranges, range.first, range.count,
                   batches_[static_cast<size_t>(i % depth)]);
      {
        const std::lock_guard lock(mutex_);
        loaded_ = i + 1;
      }
      changed_.notify_all();
    }
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
    }
    changed_.notify_all();
  }
}

const Batch& Prefetcher::next() {
  std::unique_lock lock(mutex_);
  if (loaded_ == taken_ && !failure_) {
    const auto begin = std::chrono::steady_clock::now();
    changed_.wait(lock, [&] { return loaded_ > taken_ || failure_; });
    if (taken_ > 0) {
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
      waited_seconds_ += waited.count();
      ++waits_;
    }
  }
  if (loaded_ == taken_) std::rethrow_exception(failure_);
  const Batch& batch =
      batches_[static_cast<size_t>(taken_ % static_cast<int64_t>(batches_.size()))];
  ++taken_;
  lock.unlock();
  changed_.notify_all();
  return batch;
}

}  // namespace funnel
