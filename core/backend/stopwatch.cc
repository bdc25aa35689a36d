// SPDX-License-Identifier: Apache-2.0
#include "core/backend/stopwatch.h"

#include <time.h>

#include <algorithm>

#include "core/backend/cuda/timing.h"

namespace funnel {
namespace {

// A sample takes at least so long, that the clock's grain and the gap before the first launch are
// small beside it, unless that means more runs than this.
constexpr double kSampleMs = 2;
constexpr double kMostRuns = 100;

double thread_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Stopwatch::~Stopwatch() {
  for (CUevent_st* event : events_) cuda::destroy(event);
}

void Stopwatch::mark() {
  ++marks_;
  if (context_.device() == Device::cpu) {
    moments_.push_back(thread_ms());
    return;
  }
  if (events_.size() < marks_) events_.push_back(cuda::make_timing_event());
  cuda::record(events_[marks_ - 1], context_.stream());
}

std::vector<double> Stopwatch::laps() {
  context_.synchronize();
  std::vector<double> times;
  for (size_t i = 1; i < marks_; ++i) {
    times.push_back(context_.device() == Device::cpu
                        ? moments_[i] - moments_[i - 1]
                        : cuda::milliseconds_between(events_[i - 1], events_[i]));
  }
  marks_ = 0;
  moments_.clear();
  return times;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double median_ms(Context& context, int repeats, const std::function<void()>& work) {
  work();
  Stopwatch watch(context);
  const auto sample = [&](int runs) {
    watch.mark();
    for (int i = 0; i < runs; ++i) work();
    watch.mark();
    return watch.laps()[0] / runs;
  };
  const double once = sample(1);
  const int runs = static_cast<int>(std::clamp(kSampleMs / std::max(once, 1e-6), 1.0, kMostRuns));
  std::vector<double> samples;
  for (int i = 0; i < repeats; ++i) samples.push_back(sample(runs));
  return median(samples);
}

}  // namespace funnel
