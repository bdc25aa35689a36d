// SPDX-License-Identifier: Apache-2.0
// RecordedWork is a piece of a step that is issued again and again. On a CUDA device it is recorded
// each time and given to the device as one graph, which brings its many kernels closer together
// than launches one by one. Because it is recorded anew, what the host puts into it (a step number,
// a rate, a batch's counts) is always today's, and its bits are those of launches one by one.
//
// While the device works on one piece the host records the next, so pieces should be long, and the
// first of a step short.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/backend/context.h"

struct CUgraphExec_st;

namespace funnel {

class RecordedWork {
 public:
  explicit RecordedWork(Context& context) : context_(context) {}
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

  // Calls `issue`, which gives work to the context and must not wait for it. On a device a call may
  // only record, and be followed by another in earnest if that fails: so what `issue` leaves behind
  // on the host must not depend on how often it is called. Work is recorded once memory has
  // settled: when nothing was allocated on the device since the beginning of the run before.
  void run(const std::function<void()>& issue);

  // Why this piece is not recorded any more; empty while nothing speaks against it.
  const std::string& refusal() const { return refusal_; }
  int64_t launches() const { return launches_; }  // runs that the device got as one graph
  // Kernels, copies and fills of the last graph; 0 before there is one.
  int64_t operations() const { return operations_; }

 private:
  bool has_settled();
  bool record(const std::function<void()>& issue);

  Context& context_;
  CUgraphExec_st* graph_ = nullptr;
  int64_t allocations_ = -1;  // at the beginning of the run before
  int64_t launches_ = 0, operations_ = 0;
  std::string refusal_;
};

}  // namespace funnel
