// SPDX-License-Identifier: Apache-2.0
// Allocation, copies and fills.
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/host_view.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/runtime.h"
#include "tests/cudacpu/shadow.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

void check_pointer(const void* out) {
  if (out == nullptr) misuse(cudaErrorInvalidValue, "a null pointer for the result");
}

void allocate_for(void** out, MemoryKind kind, size_t bytes, Runtime& runtime) {
  check_pointer(out);
  runtime.check_no_capture();
  *out = nullptr;
  if (bytes == 0) return;
  const Allocation* made = allocate(kind, static_cast<int64_t>(bytes), current_device());
  if (made == nullptr) refuse(cudaErrorMemoryAllocation);
  *out = reinterpret_cast<void*>(made->begin);
}

// Freeing waits for the device, as the real runtime does.
void free_for(void* address, bool pinned, Runtime& runtime) {
  if (address == nullptr) return;
  runtime.check_no_capture();
  const Allocation* found = find_allocation(address);
  if (found == nullptr || found->begin != reinterpret_cast<uintptr_t>(address) ||
      found->kind != (pinned ? MemoryKind::pinned : MemoryKind::device)) {
    misuse(cudaErrorInvalidValue,
           concat("expected the begin of a live ", pinned ? "pinned" : "device",
                  " allocation, found ", describe_address(address)));
  }
  runtime.wait_all(found->device);
  release(address);
}

struct Side {
  const Allocation* allocation = nullptr;  // null: pageable host memory
  bool on_device() const { return allocation != nullptr && allocation->kind != MemoryKind::pinned; }
  bool pinned() const { return allocation != nullptr && allocation->kind == MemoryKind::pinned; }
};

Side side_of(const char* what, const void* address, int64_t bytes) {
  const Allocation* found = find_allocation(address);
  if (found == nullptr && (address == nullptr || is_simulated_address(address))) {
    misuse(cudaErrorInvalidValue, concat(what, ": ", describe_address(address)));
  }
  if (found != nullptr && !found->holds(address, bytes)) {
    misuse(cudaErrorInvalidValue, concat(what, ": ", bytes, " bytes from ",
                                         describe_address(address), " leave the allocation"));
  }
  return {found};
}

void check_direction(const Side& to, const Side& from, cudaMemcpyKind kind) {
  const auto found = to.on_device()
                         ? (from.on_device() ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                         : (from.on_device() ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
  if (kind == cudaMemcpyDefault || kind == found) return;
  static constexpr const char* kNames[] = {"host to host", "host to device", "device to host",
                                           "device to device"};
  if (kind < 0 || kind > cudaMemcpyDefault) misuse(cudaErrorInvalidMemcpyDirection, "no such kind");
  misuse(cudaErrorInvalidValue, concat("wrong direction: a copy ", kNames[kind],
                                       " was asked for between memory that is ", kNames[found]));
}

char* bytes_at(const Side& side, const void* address) {
  if (side.allocation != nullptr) return side.allocation->at(address);
  return static_cast<char*>(const_cast<void*>(address));
}

// The copy itself, when its turn comes.
void copy_now(void* to, const void* from, const Side& to_side, const Side& from_side,
              int64_t bytes) {
  if (from_side.allocation != nullptr) check_region("a copy", region_of(from, bytes), false);
  if (to_side.allocation != nullptr) check_region("a copy", region_of(to, bytes), true);
  if (from_side.on_device() && to_side.on_device()) {
    note_copied(to, from, bytes);
  } else if (from_side.on_device()) {
    if (const int64_t offset = first_unwritten(from, bytes); offset >= 0) {
      throw Fault(FaultKind::uninitialised,
                  concat("a copy of ", bytes, " bytes to the host reads ",
                         describe_address(static_cast<const char*>(from) + offset),
                         ", which nobody has written"));
    }
  } else if (to_side.on_device()) {
    note_written(to, bytes);
  }
  for (const Side* side : {&from_side, &to_side}) {
    if (side->pinned()) show_device(*side->allocation);
  }
  if (to_side.pinned())
    return write_for_host(static_cast<char*>(to), bytes_at(from_side, from), bytes);
  std::memcpy(bytes_at(to_side, to), bytes_at(from_side, from), static_cast<size_t>(bytes));
}

// Queues the copy. Pageable host memory behaves as CUDA's documentation of API synchronisation
// says: as a source it is read before the call returns, as a destination it is written by then.
void copy(void* to, const void* from, size_t count, cudaMemcpyKind kind, Stream& stream, bool wait,
          Runtime& runtime) {
  if (count == 0) return;
  const auto bytes = static_cast<int64_t>(count);
  const Side to_side = side_of("destination", to, bytes);
  const Side from_side = side_of("source", from, bytes);
  check_direction(to_side, from_side, kind);
  const auto distance = static_cast<const char*>(from) - static_cast<const char*>(to);
  if (distance < bytes && -distance < bytes) {
    misuse(cudaErrorInvalidValue, "source and destination overlap");
  }
  const bool pageable = to_side.allocation == nullptr || from_side.allocation == nullptr;
  if (pageable && stream.capture != nullptr) {
    stream.capture->invalid = true;
    misuse(cudaErrorStreamCaptureUnsupported, "pageable host memory cannot be captured");
  }
  WorkPtr work;
  if (from_side.allocation == nullptr) {
    const char* source = static_cast<const char*>(from);
    std::vector<char> staged(source, source + bytes);
    work = runtime.enqueue(stream, [=, staged = std::move(staged)] {
      copy_now(to, staged.data(), to_side, from_side, bytes);
      return true;
    });
  } else {
    work = runtime.enqueue(stream, [=] {
      copy_now(to, from, to_side, from_side, bytes);
      return true;
    });
  }
  if (wait || to_side.allocation == nullptr) runtime.wait(work);
}

void fill(void* address, int value, size_t count, Stream& stream, Runtime& runtime) {
  if (count == 0) return;
  const auto bytes = static_cast<int64_t>(count);
  check_device_range("destination", address, bytes);
  const Allocation* allocation = find_allocation(address);
  runtime.enqueue(stream, [=] {
    check_region("a fill", region_of(address, bytes), true);
    note_written(address, bytes);
    std::memset(allocation->at(address), value, count);
    return true;
  });
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

cudaError_t cudaMalloc(void** address, size_t bytes) {
  return api_call("cudaMalloc", [&](Runtime& runtime) {
    allocate_for(address, MemoryKind::device, bytes, runtime);
  });
}

cudaError_t cudaFree(void* address) {
  return api_call("cudaFree", [&](Runtime& runtime) { free_for(address, false, runtime); });
}

cudaError_t cudaMallocHost(void** address, size_t bytes) {
  return api_call("cudaMallocHost", [&](Runtime& runtime) {
    allocate_for(address, MemoryKind::pinned, bytes, runtime);
  });
}

cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned int flags) {
  return api_call("cudaHostAlloc", [&](Runtime& runtime) {
    constexpr unsigned int kKnown =
        cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    if ((flags & ~kKnown) != 0) misuse(cudaErrorInvalidValue, "no such flag");
    allocate_for(address, MemoryKind::pinned, bytes, runtime);
  });
}

cudaError_t cudaFreeHost(void* address) {
  return api_call("cudaFreeHost", [&](Runtime& runtime) { free_for(address, true, runtime); });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return api_call("cudaMemGetInfo", [&](Runtime&) {
    const int64_t limit = device_memory_limit();
    *total = static_cast<size_t>(limit);
    *free =
        static_cast<size_t>(std::max<int64_t>(0, limit - device_bytes_in_use(current_device())));
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return api_call("cudaMemcpy", [&](Runtime& runtime) {
    runtime.check_no_capture();
    copy(to, from, bytes, kind, runtime.stream(nullptr), true, runtime);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return api_call("cudaMemcpyAsync", [&](Runtime& runtime) {
    copy(to, from, bytes, kind, runtime.stream(stream), false, runtime);
  });
}

cudaError_t cudaMemset(void* address, int value, size_t bytes) {
  return api_call("cudaMemset", [&](Runtime& runtime) {
    runtime.check_no_capture();
    fill(address, value, bytes, runtime.stream(nullptr), runtime);
  });
}

cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t stream) {
  return api_call("cudaMemsetAsync", [&](Runtime& runtime) {
    fill(address, value, bytes, runtime.stream(stream), runtime);
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  return api_call("cudaPointerGetAttributes", [&](Runtime&) {
    const Allocation* found = find_allocation(address);
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = cudaInvalidDeviceId;
    attributes->hostPointer = const_cast<void*>(address);
    if (found == nullptr) return;
    attributes->device = found->device;
    attributes->devicePointer = const_cast<void*>(address);
    const bool pinned = found->kind == MemoryKind::pinned;
    attributes->type = pinned ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    if (!pinned) attributes->hostPointer = nullptr;
  });
}

}  // extern "C"
