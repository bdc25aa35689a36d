// SPDX-License-Identifier: Apache-2.0
#include "core/backend/recorded_work.h"

#include <utility>

#include "core/backend/buffer.h"
#include "core/backend/cuda/runtime.h"

namespace funnel {

RecordedWork::~RecordedWork() {
  cuda::destroy(graph_);
}

void RecordedWork::run(const std::function<void()>& issue) {
  if (context_.device() == Device::cuda && has_settled() && refusal_.empty() && record(issue)) {
    cuda::launch(graph_, context_.stream());
    ++launches_;
  } else {
    issue();
  }
}

bool RecordedWork::has_settled() {
  const int64_t now = Buffer::device_allocations();
  return std::exchange(allocations_, now) == now;
}

bool RecordedWork::record(const std::function<void()>& issue) {
  cuda::begin_recording(context_.stream());
  try {
    issue();
  } catch (const Error& error) {
    refusal_ = error.what();
    cuda::discard_recording(context_.stream());
    return false;
  }
  try {
    operations_ = cuda::end_recording(context_.stream(), graph_);
  } catch (const Error& error) {
    refusal_ = error.what();
    return false;
  }
  return true;
}

}  // namespace funnel
