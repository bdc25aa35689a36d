// SPDX-License-Identifier: Apache-2.0
// The state of the simulated CUDA runtime: devices, streams, and the work queued on them. Included
// by the files that implement the public calls (runtime_*.cc) and by the library stand-ins.
//
// Work forms a graph: a piece of work may run when all it comes after has run. Streams and events
// only add edges. Nothing runs by itself: `eager` streams run work when it is issued; `lazy` ones
// run it when the host waits for it and nothing else; `newest` ones run, whenever the host waits
// for anything, all there is, newest stream first. The last two are legal on a real device, and
// show missing waits as poisoned or stale data.
//
// One lock, held by every call, guards everything. Work never blocks: what waits for another rank
// says that it has not finished and is asked again.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/stream_order.h"

namespace funnel::cudacpu {

struct Capture;

struct Work {
  std::function<bool()> run;  // true: finished; false: ask again later. Null: nothing to do.
  std::vector<std::shared_ptr<Work>> after;
  WorkOrder order;  // of a node of a capture only the chain of its stream
  int device = 0;
  int64_t serial = 0;  // grows with every piece of work
  bool done = false;
  bool asked = false;  // the host has asked whether it is done
  int64_t stuck = 0;   // the latest pass that could not finish it
  std::chrono::steady_clock::time_point finished{};
  std::shared_ptr<Capture> capture;  // the capture that this is a node of, never run itself
};
using WorkPtr = std::shared_ptr<Work>;

struct Stream {
  int device = 0;
  bool blocking = true;  // waits for the legacy default stream and the other way round
  int priority = 0;
  uint32_t chain = 0;
  WorkPtr tail;            // the latest work, or null
  WorkPtr before_capture;  // `tail` while the stream is being captured
  std::shared_ptr<Capture> capture;
};

struct Event {
  int device = 0;
  bool timing = true;
  WorkPtr work;  // the point it marks, null until recorded
};

// A stream's work being recorded instead of run.
struct Capture {
  Stream* origin = nullptr;
  std::vector<WorkPtr> nodes;
  std::set<Stream*> streams;
  bool invalid = false;
  // Whose calls that may synchronise it forbids: everybody's, its thread's, nobody's.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
};

struct Device {
  Stream legacy;                     // the default stream
  Clock gone;                        // what destroyed streams have come after
  cudaError_t broken = cudaSuccess;  // after a fault every call returns this
};

inline constexpr int kMaxDevices = 16;

class Runtime {
 public:
  static Runtime& get();

  std::mutex mutex;
  std::vector<std::unique_ptr<Device>> devices;  // kMaxDevices; the option says how many show
  std::vector<std::unique_ptr<Stream>> streams;  // without the default ones, oldest first
  std::set<Event*> events;
  std::vector<WorkPtr> orphans;  // the tails of destroyed streams
  Chains chains;

  Device& device(int index) { return *devices[index]; }
  // The stream of a handle, null being the legacy default stream of the current device. Throws
  // Refusal for a handle that is not alive.
  Stream& stream(cudaStream_t handle);
  Event& event(cudaEvent_t handle);

  // Adds work to the end of a stream and, if streams are eager, runs it.
  WorkPtr enqueue(Stream& stream, std::function<bool()> run);
  // The same without running it; it also comes after the works given.
  WorkPtr add(Stream& stream, std::vector<WorkPtr> after, std::function<bool()> run);

  // Work in no stream, of the stream's device. It has no place in the order of works yet.
  WorkPtr loose(const Stream& stream, std::vector<WorkPtr> after, std::function<bool()> run);
  // Gives it one, at the end of the chain and after what it comes after.
  void place(Work& work, uint32_t chain);
  void run_if_eager(const WorkPtr& work);

  // Runs what `target` needs and returns whether it has finished. Never blocks.
  bool advance(const WorkPtr& target);
  // The host waits: returns when it has finished. Lets other threads in meanwhile.
  void wait(const WorkPtr& target);
  // All work of all streams of a device, or of all devices (-1).
  void wait_all(int device);
  // Whether the host, which only asks, sees it finished. The first question about pending work is
  // answered with no, so that both answers occur.
  bool query(const WorkPtr& target);

  // The host comes to know that all of this is done.
  void tell_host(const Clock& clock);

  // A call that waits for the device, or may: an error while a capture forbids it.
  void check_no_capture();

 private:
  Runtime();
  void run(Work& work);
  std::vector<WorkPtr> tails(int device);
  int64_t serial_ = 0;
  int64_t pass_ = 0;
};

// What this thread has asked for.
struct ThreadCalls : CallCounts {
  bool is_polling = false;  // it has asked whether work is done and given no more since
};
ThreadCalls& thread_calls();

// The device that this thread's calls are about.
int& current_device();

// How a call says no. A misuse is also reported; a mere refusal (out of memory, not ready) is an
// answer that programs must handle.
struct Refusal {
  cudaError_t code;
  std::string misuse;  // empty: none
};
[[noreturn]] inline void refuse(cudaError_t code) {
  throw Refusal{code, ""};
}
[[noreturn]] inline void misuse(cudaError_t code, std::string text) {
  throw Refusal{code, std::move(text)};
}
// The error for a thread's cudaGetLastError; returns it.
cudaError_t set_last_error(cudaError_t code);
// What any call must check first: driver, devices.
cudaError_t driver_state();

// The frame of every public call: locks, refuses without a device or after a fault, turns Refusal
// into a code and remembers it.
template <class Body>
cudaError_t api_call(const char* name, Body&& body);

// Checks [address, address + bytes) as device memory of a call's argument; throws Refusal with
// cudaErrorInvalidValue and a text that starts with `what`.
void check_device_range(const char* what, const void* address, int64_t bytes);

void report_misuse(const char* call, const std::string& text);

template <class Body>
cudaError_t api_call(const char* name, Body&& body) {
  if (const cudaError_t state = driver_state(); state != cudaSuccess) return set_last_error(state);
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  try {
    Device& device = runtime.device(current_device());
    if (device.broken != cudaSuccess) refuse(device.broken);
    body(runtime);
    if (device.broken != cudaSuccess) refuse(device.broken);
    return cudaSuccess;
  } catch (const Refusal& refusal) {
    if (!refusal.misuse.empty()) report_misuse(name, refusal.misuse);
    return set_last_error(refusal.code);
  } catch (const Fault& fault) {
    report_misuse(name, fault.what());
    return set_last_error(cudaErrorInvalidValue);
  }
}

}  // namespace funnel::cudacpu
