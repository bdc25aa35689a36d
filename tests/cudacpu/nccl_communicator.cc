// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/nccl_communicator.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <random>
#include <thread>
#include <utility>

namespace funnel::cudacpu {
namespace {

std::deque<CommPtr>& communicators() {
  static auto* all = new std::deque<CommPtr>;
  return *all;
}

// Goes on with what is under way and says where it is.
ncclResult_t advance(Runtime& runtime, const CommPtr& comm) {
  if (comm->error != ncclSuccess) return comm->error;
  try {
    if (comm->state == CommState::connecting) {
      if (!comm->wire->connect()) return ncclInProgress;
      comm->state = CommState::ready;
    }
  } catch (const WireError& error) {
    comm->error = ncclInvalidUsage;
    comm->text = error.what();
    return comm->error;
  }
  if (!comm->deferred.empty() && !std::exchange(comm->asked, true)) return ncclInProgress;
  for (const auto& one : std::exchange(comm->deferred, {})) one();
  const bool runs = comm->last != nullptr && comm->last->capture == nullptr;
  const bool done = !runs || runtime.advance(comm->last);
  if (comm->error != ncclSuccess) return comm->error;
  return comm->state == CommState::finalizing && !done ? ncclInProgress : ncclSuccess;
}

void forget(const CommPtr& comm) {
  comm->wire.reset();
  std::erase(communicators(), comm);
}

std::string random_id() {
  static std::atomic<uint32_t> next{0};
  std::random_device random;
  return concat(std::hex, random(), '-', random(), '-', ++next);
}

}  // namespace

CommPtr find_communicator(ncclComm_t handle) {
  for (const CommPtr& one : communicators()) {
    if (one.get() == reinterpret_cast<Communicator*>(handle)) return one;
  }
  nccl_misuse(ncclInvalidArgument, "no such communicator");
}

void check_usable(const CommPtr& comm) {
  if (comm->error != ncclSuccess) nccl_misuse(ncclInvalidUsage, "the communicator has failed");
  if (comm->state != CommState::ready)
    nccl_misuse(ncclInvalidUsage, "the communicator is not ready");
  if (!comm->deferred.empty()) {
    nccl_misuse(ncclInvalidUsage,
                "the call before is still in progress: ask ncclCommGetAsyncError");
  }
  if (comm->device != current_device()) {
    nccl_misuse(ncclInvalidUsage, "the communicator belongs to another device");
  }
}

}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t handle) {
  static std::string text;
  const std::lock_guard lock(Runtime::get().mutex);
  for (const CommPtr& one : communicators()) {
    if (one.get() == reinterpret_cast<Communicator*>(handle)) text = one->text;
  }
  return text.c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  return nccl_call("ncclGetUniqueId", [&](Runtime&) {
    *id = {};
    const std::string text = random_id();
    std::memcpy(id->internal, text.data(), text.size());
    return ncclSuccess;
  });
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* out, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  return nccl_call("ncclCommInitRankConfig", [&](Runtime& runtime) {
    if (size < 1 || rank < 0 || rank >= size) nccl_misuse(ncclInvalidArgument, "no such rank");
    auto made = std::make_shared<Communicator>();
    made->rank = rank;
    made->size = size;
    made->device = current_device();
    made->blocking = config == nullptr || config->blocking != 0;
    try {
      made->wire = std::make_unique<Wire>(id.internal, rank, size, made->device);
    } catch (const WireError& error) {
      nccl_misuse(ncclSystemError, error.what());
    }
    communicators().push_back(made);
    *out = reinterpret_cast<ncclComm_t>(made.get());
    if (!made->blocking) return ncclInProgress;
    ncclResult_t state = ncclInProgress;
    while ((state = advance(runtime, made)) == ncclInProgress) {
      runtime.mutex.unlock();
      std::this_thread::yield();
      runtime.mutex.lock();
    }
    return state;
  });
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* state) {
  return nccl_call("ncclCommGetAsyncError", [&](Runtime& runtime) {
    *state = advance(runtime, find_communicator(handle));
    return ncclSuccess;
  });
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  return nccl_call("ncclCommFinalize", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    check_usable(comm);
    comm->state = CommState::finalizing;
    if (comm->blocking) runtime.wait(comm->last);
    return comm->blocking ? ncclSuccess : ncclInProgress;
  });
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  return nccl_call("ncclCommDestroy", [&](Runtime&) {
    const CommPtr comm = find_communicator(handle);
    if (comm->last != nullptr && !comm->last->done && comm->last->capture == nullptr) {
      nccl_misuse(ncclInvalidUsage, "operations are still under way");
    }
    forget(comm);
    return ncclSuccess;
  });
}

// Frees the streams of the communicator's operations, wherever they are; peers see it as gone.
ncclResult_t ncclCommAbort(ncclComm_t handle) {
  return nccl_call("ncclCommAbort", [&](Runtime& runtime) {
    const CommPtr comm = find_communicator(handle);
    comm->aborted = true;
    comm->deferred.clear();
    if (comm->last != nullptr && comm->last->capture == nullptr) runtime.advance(comm->last);
    forget(comm);
    return ncclSuccess;
  });
}

}  // extern "C"
