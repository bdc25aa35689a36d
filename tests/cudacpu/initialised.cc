// SPDX-License-Identifier: Apache-2.0
// The initialisation checker.
#include <cstring>

#include "tests/cudacpu/checkers.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {
namespace {

bool all_written(const uint8_t* map, int bytes) {
  for (; bytes >= 8; bytes -= 8, map += 8) {
    uint64_t eight;
    std::memcpy(&eight, map, 8);
    if (eight != 0x0101010101010101u) return false;
  }
  for (; bytes > 0; --bytes, ++map) {
    if (*map == 0) return false;
  }
  return true;
}

[[noreturn]] void report_unwritten(const Warp& warp, const Instruction& in, const Request& request,
                                   int lane) {
  const uint64_t address = request.address[lane];
  const std::string where = request.space == Space::shared
                                ? "offset " + std::to_string(address) + " of shared memory"
                                : describe_address(reinterpret_cast<const void*>(address));
  fail(warp, in, lane, FaultKind::uninitialised,
       "reads " + std::to_string(request.bytes) + " bytes at " + where +
           ", of which not all have been written");
}

}  // namespace

void check_initialised(const Warp& warp, const Instruction& in, const Request& request,
                       AccessKind kind) {
  if (request.space != Space::shared && request.space != Space::global &&
      request.space != Space::constant) {
    return;
  }
  if (kind == AccessKind::async_issue) return;  // the bytes are there once waited for
  const bool shared = request.space == Space::shared;
  const bool reads =
      kind == AccessKind::read || kind == AccessKind::atomic || kind == AccessKind::atomic_read;
  uint8_t* map = nullptr;
  uint64_t begin = 0;
  const Allocation* allocation = request.allocation;
  const auto use = [&](const Allocation& one) {
    map = shadow_of(one).written.data();
    begin = one.begin;
  };
  if (shared)
    map = warp.block->shared_shadow->written.data();
  else
    use(*allocation);
  each_lane(request.mask, [&](int l) {
    if (!shared && !request.one_allocation) {
      const void* address = reinterpret_cast<const void*>(request.address[l]);
      if (!allocation->holds(address, request.bytes)) {
        allocation = find_allocation(address);
        use(*allocation);
      }
    }
    uint8_t* bytes = map + (request.address[l] - begin);
    if (reads) {
      if (!all_written(bytes, request.bytes)) report_unwritten(warp, in, request, l);
    } else {
      std::memset(bytes, 1, static_cast<size_t>(request.bytes));
    }
  });
}

}  // namespace funnel::cudacpu
