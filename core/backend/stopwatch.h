// SPDX-License-Identifier: Apache-2.0
// Times the work of a context where it happens: on a CUDA device by events in its stream, on the
// CPU by the time of the calling thread, which other processes of the machine do not add to.
#pragma once

#include <functional>
#include <vector>

#include "core/backend/context.h"

struct CUevent_st;  // what CUDA's event handles point to

namespace funnel {

class Stopwatch {
 public:
  explicit Stopwatch(Context& context) : context_(context) {}
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // Notes the moment when all that was asked of the context so far is done.
  void mark();

  // Milliseconds from each mark to the next, then forgets them. Waits for the last.
  std::vector<double> laps();

 private:
  Context& context_;
  std::vector<double> moments_;      // on the CPU
  std::vector<CUevent_st*> events_;  // on a CUDA device; more of them than marks once reused
  size_t marks_ = 0;
};

// The middle value; of an even number the upper of the two.
double median(std::vector<double> values);

// The median time of `work` over `repeats` samples. A first run, which allocates and prepares, does
// not count; where work is short, a sample runs it many times and takes the mean.
double median_ms(Context& context, int repeats, const std::function<void()>& work);

}  // namespace funnel
