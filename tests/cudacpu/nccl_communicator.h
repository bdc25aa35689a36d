// SPDX-License-Identifier: Apache-2.0
// Stand-in for exactly the NCCL calls that the engine makes, between processes or threads of one
// machine. Communicators that do not block behave as documented: calls return ncclInProgress, and
// an operation is in its stream only once ncclCommGetAsyncError has answered with something else.
// An operation that lost its peer stays in its stream until the communicator is aborted, as on a
// device. This header joins nccl_communicator.cc (lives) and nccl_operations.cc (operations).
#pragma once

#include <nccl.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "tests/cudacpu/nccl_wire.h"
#include "tests/cudacpu/reports.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {

enum class CommState { connecting, ready, finalizing };

struct Communicator {
  int rank = 0, size = 1, device = 0;
  bool blocking = true;
  CommState state = CommState::connecting;
  bool aborted = false;
  ncclResult_t error = ncclSuccess;
  std::string text;  // of the error
  std::unique_ptr<Wire> wire;
  WorkPtr last;  // operations of one communicator run in the order of their calls
  // Called, but not in their streams yet; each adds one.
  std::vector<std::function<void()>> deferred;
  bool asked = false;  // whether the state was asked for since the last call
};
using CommPtr = std::shared_ptr<Communicator>;

// The communicator of a handle. Throws NcclRefusal if there is none.
CommPtr find_communicator(ncclComm_t handle);

// Throws NcclRefusal unless the communicator may be given an operation now, on this device.
void check_usable(const CommPtr& comm);

// A misuse: reported, and answered with the code.
struct NcclRefusal {
  ncclResult_t code;
  std::string text;
};

[[noreturn]] inline void nccl_misuse(ncclResult_t code, const std::string& text) {
  throw NcclRefusal{code, text};
}

// The frame of every call: locks, turns refusals into codes.
template <class Body>
ncclResult_t nccl_call(const char* name, Body&& body) {
  if (driver_state() != cudaSuccess) return ncclUnhandledCudaError;
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  try {
    return body(runtime);
  } catch (const NcclRefusal& refusal) {
    report(concat(name, ": ", refusal.text));
    return refusal.code;
  } catch (const Refusal& refusal) {
    report(concat(name, ": ", refusal.misuse));
    return ncclInvalidArgument;
  }
}

}  // namespace funnel::cudacpu
