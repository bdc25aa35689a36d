// SPDX-License-Identifier: Apache-2.0
// The memory of the simulated devices: a table of allocations that knows for every address whether
// it may be used. Device addresses are no host addresses: host code that touches one crashes, as it
// does with a GPU. The bytes lie elsewhere, at Allocation::at(address); only the host runtime and
// the interpreter go there. No address is ever given out twice, so a freed one stays known as
// freed.
//
// All functions may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace funnel::cudacpu {

enum class MemoryKind {
  device,    // cudaMalloc
  pinned,    // cudaMallocHost: host code uses the addresses directly
  variable,  // __device__ and __constant__ variables; live as long as the process
};

// Every byte of new memory: NaN in bf16, f32 and f64.
inline constexpr unsigned char kPoison = 0xFF;

// One allocation; never moves and is never deleted, only marked as freed.
struct Allocation {
  uintptr_t begin = 0;
  int64_t bytes = 0;
  char* storage = nullptr;  // the bytes; equal to `begin` when pinned
  MemoryKind kind = MemoryKind::device;
  int device = 0;
  int64_t serial = 0;  // counts allocations from 1, for messages
  std::atomic<bool> live{true};
  // Whatever a checker keeps about these bytes; dropped when the memory is freed.
  mutable std::shared_ptr<void> shadow;

  // Whether [address, address + count) lies inside; count >= 0.
  bool holds(const void* address, int64_t count = 1) const {
    const auto offset = static_cast<int64_t>(reinterpret_cast<uintptr_t>(address) - begin);
    return offset >= 0 && offset <= bytes - count;
  }
  // Where the byte of a held address lies.
  char* at(const void* address) const {
    return storage + (reinterpret_cast<uintptr_t>(address) - begin);
  }
};

// New poisoned memory (in a rehearsal zeros, which take no room until they are written), aligned to
// 256 bytes and to no more. Null if the device's memory limit does not allow it. bytes > 0.
const Allocation* allocate(MemoryKind kind, int64_t bytes, int device);

// Frees what begins at `address`; false, and nothing happens, if no live allocation begins there.
bool release(const void* address);

// The live allocation that holds the byte, or null. Fast for repeated hits near each other.
const Allocation* find_allocation(const void* address);

// Whether the address lies in the ranges that allocations come from, even if it is not alive.
bool is_simulated_address(const void* address);

// What is known about an address, for messages: "byte 4100 of device allocation 3, which has 4096
// bytes", "byte 0 of the freed device allocation 2 of 64 bytes", "no device or pinned memory".
std::string describe_address(const void* address);

// Live device and pinned allocations in the order they were made: at the end of a test, the leaks.
std::vector<const Allocation*> live_allocations();

// The simulated memory of each device; variables count too. The limit starts as the option
// `memory` (options.h).
int64_t device_bytes_in_use(int device);
int64_t device_memory_limit();
void set_device_memory_limit(int64_t bytes);

}  // namespace funnel::cudacpu
