// SPDX-License-Identifier: Apache-2.0
#include "data/prefetcher.h"

#include <chrono>

#include "core/base/error.h"

namespace funnel {

Prefetcher::Prefetcher(const Loader& loader, int64_t first_step, std::vector<LaneRange> ranges,
                       int64_t depth, int readers)
    : loader_(loader),
      first_step_(first_step),
      ranges_(std::move(ranges)),
      ring_(static_cast<size_t>(depth)) {
  FUNNEL_CHECK(depth >= 2 && readers >= 1 && !ranges_.empty(),
               "prefetcher: expected a depth of at least 2, a reader and a lane range");
  for (int i = 0; i < readers; ++i) threads_.emplace_back([this] { run(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

int64_t Prefetcher::claim() {
  std::unique_lock lock(mutex_);
  const auto depth = static_cast<int64_t>(ring_.size());
  // The batch in use, taken_ - 1, must not be overwritten.
  const auto is_over = [&] { return is_stopping_ || claimed_ > failed_at_; };
  changed_.wait(lock, [&] { return is_over() || claimed_ - (taken_ - 1) < depth; });
  return is_over() ? -1 : claimed_++;
}

void Prefetcher::run() {
  const auto ranges = static_cast<int64_t>(ranges_.size());
  for (int64_t i = claim(); i >= 0; i = claim()) {
    std::exception_ptr failure;
    try {
      const LaneRange& range = ranges_[static_cast<size_t>(i % ranges)];
      loader_.load(first_step_ + i / ranges, range.first, range.count, slot(i).batch);
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      if (!failure) slot(i).filled = i;
      if (failure && i < failed_at_) {
        failed_at_ = i;
        failure_ = failure;
      }
    }
    changed_.notify_all();
  }
}

const Batch& Prefetcher::next() {
  std::unique_lock lock(mutex_);
  Slot& wanted = slot(taken_);
  const auto is_known = [&] { return wanted.filled == taken_ || failed_at_ == taken_; };
  if (!is_known()) {
    const auto begin = std::chrono::steady_clock::now();
    changed_.wait(lock, is_known);
    if (taken_ > 0) {
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
      waited_seconds_ += waited.count();
      ++waits_;
    }
  }
  if (failed_at_ == taken_) std::rethrow_exception(failure_);
  ++taken_;
  lock.unlock();
  changed_.notify_all();
  return wanted.batch;
}

}  // namespace funnel
