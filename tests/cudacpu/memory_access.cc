// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/memory_access.h"

#include <sstream>

#include "tests/cudacpu/checkers.h"
#include "tests/cudacpu/host_view.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/race.h"
#include "tests/cudacpu/statistics.h"

namespace funnel::cudacpu {
namespace {

[[noreturn]] void out_of_bounds(const Warp& warp, const Instruction& in, const Request& request,
                                int lane, const std::string& where) {
  std::ostringstream text;
  text << request.bytes << " bytes at " << where;
  fail(warp, in, lane, FaultKind::out_of_bounds, text.str());
}

void check_alignment(const Warp& warp, const Instruction& in, const Request& request) {
  uint64_t all = 0;
  each_lane(request.mask, [&](int l) { all |= request.address[l]; });
  const auto wrong = static_cast<uint64_t>(request.bytes - 1);
  if ((all & wrong) == 0) return;
  each_lane(request.mask, [&](int l) {
    if ((request.address[l] & wrong) == 0) return;
    std::ostringstream text;
    text << "address " << std::hex << "0x" << request.address[l] << std::dec
         << " is no multiple of " << request.bytes;
    fail(warp, in, l, FaultKind::misaligned, text.str());
  });
}

// Shared memory, a lane's stack, or the parameters: `bytes` bytes from `base`, `stride` a lane.
void resolve_inside(const Warp& warp, const Instruction& in, Request& request, char* base,
                    int64_t bytes, int64_t stride, const char* what) {
  each_lane(request.mask, [&](int l) {
    const uint64_t offset = request.address[l];
    if (offset > static_cast<uint64_t>(bytes) ||
        static_cast<uint64_t>(bytes) - offset < static_cast<uint64_t>(request.bytes)) {
      std::ostringstream text;
      text << "offset " << static_cast<int64_t>(offset) << " of " << what << ", which has " << bytes
           << " bytes";
      out_of_bounds(warp, in, request, l, text.str());
    }
    request.host[l] = base + stride * l + offset;
  });
}

// In a rehearsal, where indices mean nothing, an address that may not be used stands for this.
char* nowhere(int64_t bytes) {
  thread_local std::array<char, 64> memory;
  memory.fill(0);
  return bytes <= static_cast<int64_t>(memory.size()) ? memory.data() : nullptr;
}

void resolve_global(const Warp& warp, const Instruction& in, Request& request) {
  const Allocation* allocation = nullptr;
  const Allocation* first = nullptr;
  request.one_allocation = true;
  each_lane(request.mask, [&](int l) {
    const void* address = reinterpret_cast<const void*>(request.address[l]);
    if (allocation == nullptr || !allocation->holds(address, request.bytes)) {
      allocation = find_allocation(address);
      if (allocation == nullptr || !allocation->holds(address, request.bytes)) {
        if (is_rehearsal()) {
          request.host[l] = nowhere(request.bytes);
          allocation = nullptr;
          return;
        }
        out_of_bounds(warp, in, request, l, describe_address(address));
      }
      if (allocation->kind == MemoryKind::pinned) show_device(*allocation);
      if (first == nullptr) first = allocation;
      if (first != allocation) request.one_allocation = false;
    }
    request.host[l] = allocation->at(address);
  });
  request.allocation = first;
}

}  // namespace

void read_addresses(Warp& warp, const Instruction& in, Mask, int slot, Request& request) {
  const auto offset = static_cast<uint64_t>(in.offset);
  if ((in.detail & 0x80000000u) != 0) {
    const uint32_t* base = warp.reg<uint32_t>(in.op[slot]);
    for (int l = 0; l < kLanes; ++l) {
      request.address[l] = static_cast<uint32_t>(base[l] + static_cast<uint32_t>(offset));
    }
  } else {
    const uint64_t* base = warp.reg<uint64_t>(in.op[slot]);
    for (int l = 0; l < kLanes; ++l) request.address[l] = base[l] + offset;
  }
}

Mask split_generic(Mask mask, Request& request) {
  const uint64_t window = request.address[lowest_lane(mask)] & kWindowMask;
  const auto is_special = [](uint64_t w) {
    return w == kSharedWindow || w == kLocalWindow || w == kParameterWindow;
  };
  const bool special = is_special(window);
  Mask same = 0;
  each_lane(mask, [&](int l) {
    const uint64_t its = request.address[l] & kWindowMask;
    if (special ? its == window : !is_special(its)) same |= kLaneBits[l];
  });
  request.space = window == kSharedWindow      ? Space::shared
                  : window == kLocalWindow     ? Space::local
                  : window == kParameterWindow ? Space::parameter
                                               : Space::global;
  if (special) each_lane(same, [&](int l) { request.address[l] &= ~kWindowMask; });
  return same;
}

void resolve(Warp& warp, const Instruction& in, Request& request) {
  const Program& program = *warp.program;
  Block& block = *warp.block;
  switch (request.space) {
    case Space::shared:
      resolve_inside(warp, in, request, block.shared.data(), block.shared_bytes, 0,
                     "shared memory");
      break;
    case Space::local:
      resolve_inside(warp, in, request, warp.local.data(), program.local_bytes, program.local_bytes,
                     "the stack");
      break;
    case Space::parameter:
      each_lane(request.mask, [&](int l) { request.address[l] &= ~kWindowMask; });
      resolve_inside(warp, in, request, const_cast<char*>(block.launch->arguments.data()),
                     program.parameter_bytes, 0, "the parameters");
      break;
    default:
      resolve_global(warp, in, request);
  }
  check_alignment(warp, in, request);
}

bool check(Warp& warp, const Instruction& in, const Request& request, AccessKind kind) {
  const Block& block = *warp.block;
  // The race checker first: what it says of a copy not waited for is more to the point.
  const bool overlap = block.order != nullptr && check_race(warp, in, request, kind);
  if (block.check_init) check_initialised(warp, in, request, kind);
  return overlap;
}

bool observe(Warp& warp, const Instruction& in, const Request& request, AccessKind kind) {
  if (warp.block->statistics != nullptr) warp.block->statistics->access(request);
  return check(warp, in, request, kind);
}

}  // namespace funnel::cudacpu
