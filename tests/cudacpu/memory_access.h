// SPDX-License-Identifier: Apache-2.0
// From the address registers of a warp's memory instruction to host memory: address spaces, bounds,
// alignment, and the reports to the checkers.
#pragma once

#include "tests/cudacpu/exec.h"
#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/memory.h"

namespace funnel::cudacpu {

enum class AccessKind : uint8_t {
  read,
  write,
  atomic,       // reads and writes
  atomic_read,  // ld.acquire, ld.relaxed: no race with atomics
  atomic_write,
  async_issue,     // cp.async's write at issue …
  async_complete,  // … and when it is waited for
};

// The addresses of the lanes of `mask`, all in one space, each of `bytes` bytes.
struct Request {
  Space space = Space::global;
  Mask mask = 0;
  int bytes = 0;
  bool one_allocation = false;  // global: all lanes lie in `allocation`
  const Allocation* allocation = nullptr;
  std::array<uint64_t, kLanes> address;  // shared and local: the offset
  std::array<char*, kLanes> host;
};

// Resolves [register + offset] of the lanes, `bytes` a lane, and calls f(request), several times if
// generic addresses point to several spaces. Faults for addresses that may not be used.
template <class F>
void with_requests(Warp& warp, const Instruction& in, Mask mask, int slot, int bytes, F f);

// Fills `request.address` for the lanes.
void read_addresses(Warp& warp, const Instruction& in, Mask mask, int slot, Request& request);
// Fills `request.host` for a space other than generic.
void resolve(Warp& warp, const Instruction& in, Request& request);
// The lanes among `mask` whose generic addresses lie in the same space as the lowest lane's; strips
// the window from those and sets the space.
Mask split_generic(Mask mask, Request& request);

// Tells the checkers that are on. True if lanes write the same bytes, which is right only if they
// write the same values.
bool check(Warp& warp, const Instruction& in, const Request& request, AccessKind kind);
// The same, and counts the access where statistics are on.
bool observe(Warp& warp, const Instruction& in, const Request& request, AccessKind kind);

template <class F>
void with_requests(Warp& warp, const Instruction& in, Mask mask, int slot, int bytes, F f) {
  Request request;
  request.bytes = bytes;
  read_addresses(warp, in, mask, slot, request);
  while (mask != 0) {
    request.space = in.space;
    request.mask = in.space == Space::generic ? split_generic(mask, request) : mask;
    mask &= ~request.mask;
    resolve(warp, in, request);
    f(request);
  }
}

}  // namespace funnel::cudacpu
