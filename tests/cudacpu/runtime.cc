// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/runtime.h"

#include <algorithm>

#include "core/base/error.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/host_view.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/reports.h"

namespace funnel::cudacpu {
namespace {

cudaError_t code_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::out_of_bounds:
      return cudaErrorIllegalAddress;
    case FaultKind::misaligned:
      return cudaErrorMisalignedAddress;
    case FaultKind::trap:
      return cudaErrorAssert;
    case FaultKind::endless:
      return cudaErrorLaunchTimeout;
    default:
      return cudaErrorLaunchFailure;
  }
}

bool before(const WorkPtr& a, const WorkPtr& b) {
  return a->serial < b->serial;
}

}  // namespace

Runtime& Runtime::get() {
  static Runtime* one = new Runtime;  // outlives static destructors that still make calls
  return *one;
}

Runtime::Runtime() {
  for (int i = 0; i < kMaxDevices; ++i) {
    devices.push_back(std::make_unique<Device>());
    devices.back()->legacy.device = i;
    devices.back()->legacy.chain = chains.begin();
  }
}

ThreadCalls& thread_calls() {
  thread_local ThreadCalls calls;
  return calls;
}

CallCounts call_counts() {
  return thread_calls();
}
bool counts_calls() {
  return true;
}

int& current_device() {
  thread_local int device = 0;
  return device;
}

Stream& Runtime::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return device(current_device()).legacy;
  for (const auto& stream : streams) {
    if (stream.get() == reinterpret_cast<Stream*>(handle)) return *stream;
  }
  misuse(cudaErrorInvalidResourceHandle, "no such stream");
}

Event& Runtime::event(cudaEvent_t handle) {
  auto* event = reinterpret_cast<Event*>(handle);
  if (!events.contains(event)) misuse(cudaErrorInvalidResourceHandle, "no such event");
  return *event;
}

WorkPtr Runtime::loose(const Stream& stream, std::vector<WorkPtr> after,
                       std::function<bool()> run) {
  thread_calls().is_polling = false;
  auto work = std::make_shared<Work>();
  work->run = std::move(run);
  work->after = std::move(after);
  work->device = stream.device;
  work->serial = ++serial_;
  return work;
}

void Runtime::place(Work& work, uint32_t chain) {
  Clock clock;
  for (const WorkPtr& one : work.after) clock.join(one->order.clock);
  work.order = chains.append(chain, std::move(clock));
}

WorkPtr Runtime::add(Stream& stream, std::vector<WorkPtr> after, std::function<bool()> run) {
  WorkPtr work = loose(stream, {}, std::move(run));
  if (stream.tail != nullptr) after.push_back(stream.tail);
  Stream& legacy = device(stream.device).legacy;
  if (stream.capture == nullptr) {
    if (&stream == &legacy) {
      for (const auto& other : streams) {
        if (other->device != stream.device || !other->blocking) continue;
        if (other->capture != nullptr) {
          other->capture->invalid = true;
          misuse(cudaErrorStreamCaptureImplicit,
                 "the default stream would wait for a stream that is being captured");
        }
        if (other->tail != nullptr) after.push_back(other->tail);
      }
    } else if (stream.blocking && legacy.tail != nullptr) {
      after.push_back(legacy.tail);
    }
  } else {
    work->capture = stream.capture;
    work->order.stamp.chain = stream.chain;
    stream.capture->nodes.push_back(work);
  }
  std::sort(after.begin(), after.end(), before);
  after.erase(std::unique(after.begin(), after.end()), after.end());
  work->after = std::move(after);
  if (stream.capture == nullptr) {
    place(*work, stream.chain);
    if (&stream == &legacy) work->order.clock.join(device(stream.device).gone);
    std::erase_if(work->after, [](const WorkPtr& one) { return one->done; });
  }
  stream.tail = work;
  return work;
}

WorkPtr Runtime::enqueue(Stream& stream, std::function<bool()> run) {
  WorkPtr work = add(stream, {}, std::move(run));
  run_if_eager(work);
  return work;
}

void Runtime::run_if_eager(const WorkPtr& work) {
  if (work->capture == nullptr && option("streams") == "eager") advance(work);
}

void Runtime::run(Work& work) {
  set_running_order(&work.order);
  try {
    Device& on = device(work.device);
    work.done = work.run == nullptr || on.broken != cudaSuccess || work.run();
  } catch (const Fault& fault) {
    report(std::string(name_of(fault.kind())) + ": " + fault.what());
    device(work.device).broken = code_of(fault.kind());
    work.done = true;
  }
  set_running_order(nullptr);
  if (!work.done) return;
  work.finished = std::chrono::steady_clock::now();
  work.run = nullptr;
  work.after.clear();
}

bool Runtime::advance(const WorkPtr& target) {
  const int64_t pass = ++pass_;
  std::vector<WorkPtr> path;
  if (target != nullptr) path.push_back(target);
  while (!path.empty()) {
    const WorkPtr work = path.back();
    if (work->done || work->stuck == pass) {
      path.pop_back();
      continue;
    }
    // Of what must come first, the newest that may yet make progress.
    const auto next =
        std::find_if(work->after.rbegin(), work->after.rend(),
                     [pass](const WorkPtr& one) { return !one->done && one->stuck != pass; });
    if (next != work->after.rend()) {
      path.push_back(*next);
      continue;
    }
    const bool ready = std::all_of(work->after.begin(), work->after.end(),
                                   [](const WorkPtr& one) { return one->done; });
    if (ready) run(*work);
    if (!work->done) work->stuck = pass;
  }
  return target == nullptr || target->done;
}

// Newest stream first, the default streams last.
std::vector<WorkPtr> Runtime::tails(int device) {
  std::erase_if(orphans, [](const WorkPtr& one) { return one->done; });
  std::vector<WorkPtr> all;
  const auto take = [&](const WorkPtr& tail) {
    if (tail != nullptr && !tail->done && (device < 0 || tail->device == device)) {
      all.push_back(tail);
    }
  };
  for (auto stream = streams.rbegin(); stream != streams.rend(); ++stream) {
    take((*stream)->capture == nullptr ? (*stream)->tail : (*stream)->before_capture);
  }
  for (const WorkPtr& orphan : orphans) take(orphan);
  for (const auto& one : devices) take(one->legacy.tail);
  return all;
}

void Runtime::wait(const WorkPtr& target) {
  ++thread_calls().waits;
  if (option("streams") == "newest") {
    for (const WorkPtr& tail : tails(-1)) advance(tail);
  }
  while (!advance(target)) {
    mutex.unlock();
    std::this_thread::yield();
    mutex.lock();
  }
  if (target != nullptr) tell_host(target->order.clock);
}

void Runtime::wait_all(int device) {
  ++thread_calls().waits;
  for (const WorkPtr& tail : tails(device)) wait(tail);
  // What was done before: nobody had to wait for that.
  const auto know = [&](const Stream& stream) {
    const WorkPtr& tail = stream.capture == nullptr ? stream.tail : stream.before_capture;
    if (tail != nullptr && tail->done && (device < 0 || stream.device == device)) {
      tell_host(tail->order.clock);
    }
  };
  for (const auto& stream : streams) know(*stream);
  for (int i = 0; i < kMaxDevices; ++i) {
    if (device >= 0 && i != device) continue;
    know(devices[i]->legacy);
    tell_host(devices[i]->gone);
  }
}

bool Runtime::query(const WorkPtr& target) {
  if (!std::exchange(thread_calls().is_polling, true)) ++thread_calls().waits;
  if (target == nullptr) return true;
  if (!target->done && !std::exchange(target->asked, true)) return false;
  if (!advance(target)) return false;
  tell_host(target->order.clock);
  return true;
}

void Runtime::tell_host(const Clock& clock) {
  chains.host.join(clock);
  show_host(chains.host);
}

void Runtime::check_no_capture() {
  for (const auto& stream : streams) {
    if (stream->capture == nullptr) continue;
    const cudaStreamCaptureMode mode = stream->capture->mode;
    if (mode == cudaStreamCaptureModeRelaxed) continue;
    const bool mine = stream->capture->thread == std::this_thread::get_id();
    if (mode == cudaStreamCaptureModeThreadLocal && !mine) continue;
    stream->capture->invalid = true;
    misuse(cudaErrorStreamCaptureUnsupported, "not allowed while a stream is being captured");
  }
}

void check_device_range(const char* what, const void* address, int64_t bytes) {
  const Allocation* found = find_allocation(address);
  if (found != nullptr && found->kind != MemoryKind::pinned && found->holds(address, bytes)) return;
  misuse(cudaErrorInvalidValue,
         concat(what, ": expected ", bytes, " bytes of device memory, found ",
                describe_address(address)));
}

void clear_faults() {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  runtime.wait_all(-1);
  for (const auto& device : runtime.devices) device->broken = cudaSuccess;
}

}  // namespace funnel::cudacpu
