// SPDX-License-Identifier: Apache-2.0
// The memory half of the race checker: what was accessed last, cell by cell.
#include "tests/cudacpu/race.h"

#include <algorithm>
#include <sstream>

#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/race_order.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {
namespace {

constexpr int kClockShift = 14, kWarpShift = 9, kLaneShift = 4, kBytesShift = 2;
constexpr AccessRecord kAtomic = 2, kAsync = 1;
constexpr AccessRecord kThread = ~AccessRecord{0} << kBlockShift | AccessRecord{0x3FF}
                                                                       << kLaneShift;

uint32_t clock_of(AccessRecord r) {
  return static_cast<uint32_t>(r >> kClockShift) & 0x3FFFFF;
}
int warp_of(AccessRecord r) {
  return static_cast<int>(r >> kWarpShift) & 31;
}
int lane_of(AccessRecord r) {
  return static_cast<int>(r >> kLaneShift) & 31;
}

// One warp's access while it is checked.
struct Check {
  Warp& warp;
  const Instruction& in;
  const Request& request;
  AccessKind kind;
  const BlockOrder& order;
  AccessRecord stale;  // smaller records are of work that comes before, or of blocks if shared
  AccessRecord base;   // this access without lane and bytes
  uint16_t instruction;

  // Whether a record that is not stale is of an earlier launch.
  bool is_foreign(AccessRecord record) const {
    return block_of(record) < order.launch->first_block;
  }
  bool is_write() const { return kind != AccessKind::read && kind != AccessKind::atomic_read; }
  AccessRecord own(int lane, unsigned bytes) const {
    return base | static_cast<AccessRecord>(lane) << kLaneShift |
           static_cast<AccessRecord>(bytes) << kBytesShift;
  }
};

[[noreturn]] void report_race(const Check& check, AccessRecord earlier, uint16_t instruction,
                              bool earlier_writes, int lane) {
  const Block& block = *check.warp.block;
  const Program& program = *check.warp.program;
  const uint64_t turn = block_of(earlier) - check.order.launch->first_block;
  Block other;  // only for its name
  other.launch = block.launch;
  const uint64_t linear = check.order.launch->turns.at(turn);
  const Dim3 grid = block.launch->grid;
  other.index = {static_cast<uint32_t>(linear % grid.x),
                 static_cast<uint32_t>(linear / grid.x % grid.y),
                 static_cast<uint32_t>(linear / grid.x / grid.y)};
  const uint64_t address = check.request.address[lane];
  std::ostringstream text;
  const bool async = (earlier & kAsync) != 0;
  text << (check.is_write() ? "writes " : "reads ") << check.request.bytes << " bytes at "
       << (check.request.space == Space::shared
               ? "offset " + std::to_string(address) + " of shared memory"
               : describe_address(reinterpret_cast<const void*>(address)))
       << (async ? ", where an asynchronous copy by " : ", unordered with the ")
       << (async            ? ""
           : earlier_writes ? "write by "
                            : "read by ")
       << describe_thread(other, warp_of(earlier), lane_of(earlier))
       << (async ? " has not been waited for, " : ", ")
       << describe_instruction(program, instruction);
  fail(check.warp, check.in, lane, async ? FaultKind::async_copy : FaultKind::race, text.str());
}

[[noreturn]] void report_work(const Check& check, const std::string& other, bool other_writes,
                              int lane) {
  std::ostringstream text;
  text << (check.is_write() ? "writes " : "reads ") << check.request.bytes << " bytes at "
       << describe_address(reinterpret_cast<const void*>(check.request.address[lane])) << ", which "
       << other << (other_writes ? " writes" : " reads") << kNothingOrders;
  fail(check.warp, check.in, lane, FaultKind::race, text.str());
}

// Against an access of another launch.
void check_foreign(const Check& check, AccessRecord earlier, uint16_t instruction, AccessRecord own,
                   bool writes) {
  if ((bytes_of_cell(earlier) & bytes_of_cell(own)) == 0) return;
  if ((earlier & own & kAtomic) != 0) return;
  if (check.order.launch->earlier->comes_before(block_of(earlier))) return;
  report_work(check, describe_earlier_kernel(block_of(earlier), instruction), writes, lane_of(own));
}

// Against copies, fills and libraries.
void check_regions(const Check& check) {
  EarlierWork& earlier = *check.order.launch->earlier;
  if (earlier.knows_regions()) return;
  const Request& request = check.request;
  const Allocation* allocation = request.allocation;
  each_lane(request.mask, [&](int l) {
    const void* address = reinterpret_cast<const void*>(request.address[l]);
    if (!request.one_allocation && !allocation->holds(address, request.bytes)) {
      allocation = find_allocation(address);
    }
    const auto* found =
        earlier.conflict(*allocation, request.address[l], request.bytes, check.is_write());
    if (found != nullptr) report_work(check, found->second.what, found->first.writes, l);
  });
}

// A record that is neither stale nor of the same thread.
bool conflicts(const Check& check, AccessRecord earlier, AccessRecord own) {
  if ((earlier & own & (AccessRecord{3} << kBytesShift)) == 0) return false;
  if ((earlier & own & kAtomic) != 0) return false;
  if ((earlier & kAsync) != 0) return true;
  const int warp = warp_of(own), lane = lane_of(own);
  if (block_of(earlier) == check.order.id) {
    return !happened_before(check.order, warp_of(earlier), lane_of(earlier), clock_of(earlier),
                            warp, lane);
  }
  return !released(check.order, block_of(earlier), warp_of(earlier), lane_of(earlier),
                   clock_of(earlier)) ||
         !acquired(check.order, warp, lane);
}

inline bool same_thread(AccessRecord a, AccessRecord b) {
  return ((a ^ b) & kThread) == 0;
}

inline void check_record(const Check& check, AccessRecord earlier, uint16_t instruction,
                         AccessRecord own, bool writes) {
  if (earlier < check.stale) return;
  if (check.is_foreign(earlier)) return check_foreign(check, earlier, instruction, own, writes);
  if (same_thread(earlier, own) && (earlier & kAsync) == 0) return;
  if (same_thread(earlier, own) && check.kind == AccessKind::async_complete) return;
  if (conflicts(check, earlier, own)) {
    report_race(check, earlier, instruction, writes, lane_of(own));
  }
}

// Keeps two reads of different threads, of different warps or blocks where possible: whoever writes
// later without order conflicts with one of them.
void remember_read(const Check& check, RaceCell& cell, AccessRecord own) {
  const auto replaceable = [&](AccessRecord old) {
    if (old < check.stale || same_thread(old, own)) return true;
    if (check.is_foreign(old)) return check.order.launch->earlier->comes_before(block_of(old));
    return block_of(old) == check.order.id &&
           happened_before(check.order, warp_of(old), lane_of(old), clock_of(old), warp_of(own),
                           lane_of(own));
  };
  const auto warp_and_block = [](AccessRecord r) {
    return r & ~((AccessRecord{1} << kWarpShift) - 1) & ~(AccessRecord{0x3FFFFF} << kClockShift);
  };
  if (replaceable(cell.read)) {
    cell.read = own;
    cell.instruction[1] = check.instruction;
  } else if (replaceable(cell.read2) || (warp_and_block(cell.read) == warp_and_block(cell.read2) &&
                                         warp_and_block(own) != warp_and_block(cell.read))) {
    cell.read2 = own;
    cell.instruction[2] = check.instruction;
  }
}

void visit_read(const Check& check, RaceCell& cell, AccessRecord own) {
  check_record(check, cell.write, cell.instruction[0], own, true);
  if (cell.read < check.stale || same_thread(cell.read, own)) {
    cell.read = own;
    cell.instruction[1] = check.instruction;
    return;
  }
  remember_read(check, cell, own);
}

void check_write(const Check& check, const RaceCell& cell, AccessRecord own) {
  check_record(check, cell.write, cell.instruction[0], own, true);
  if (cell.read == 0) return;
  check_record(check, cell.read, cell.instruction[1], own, false);
  check_record(check, cell.read2, cell.instruction[2], own, false);
}

// f(cell, record) for each cell of a lane's access.
template <class F>
inline void each_cell(const Check& check, RaceCell* cells, uint64_t offset, int lane, F f) {
  const int bytes = check.request.bytes;
  RaceCell* cell = cells + offset / 2;
  if (bytes == 1) {
    f(*cell, check.own(lane, 1u << (offset & 1)));
    return;
  }
  const AccessRecord own = check.own(lane, 3);
  for (int i = 0; i < bytes / 2; ++i) f(cell[i], own);
}

// f(lane, cells, offset) for the lanes of the request.
template <class F>
void each_place(const Check& check, Mask lanes, F f) {
  const Request& request = check.request;
  if (request.space == Space::shared) {
    RaceCell* cells = check.warp.block->shared_shadow->cells.data();
    each_lane(lanes, [&](int l) { f(l, cells, request.address[l]); });
    return;
  }
  const Allocation* allocation = request.allocation;
  RaceCell* cells = shadow_of(*allocation).cells.data();
  each_lane(lanes, [&](int l) {
    const void* address = reinterpret_cast<const void*>(request.address[l]);
    if (!request.one_allocation && !allocation->holds(address, request.bytes)) {
      allocation = find_allocation(address);
      cells = shadow_of(*allocation).cells.data();
    }
    f(l, cells, request.address[l] - allocation->begin);
  });
}

// Where all lanes read the same bytes, two of them stand for all.
Mask representative_lanes(const Request& request) {
  const int first = lowest_lane(request.mask);
  const int last = kLanes - 1 - __builtin_clz(request.mask);
  Mask differing = 0;
  each_lane(request.mask, [&](int l) {
    if (request.address[l] != request.address[first]) differing |= kLaneBits[l];
  });
  return differing != 0 ? request.mask : kLaneBits[first] | kLaneBits[last];
}

AccessRecord flags_of(AccessKind kind) {
  if (kind == AccessKind::atomic || kind == AccessKind::atomic_read ||
      kind == AccessKind::atomic_write) {
    return kAtomic;
  }
  return kind == AccessKind::async_issue ? kAsync : 0;
}

bool visit_writes(const Check& check) {
  const Mask lanes = check.request.mask;
  each_place(check, lanes, [&](int l, RaceCell* cells, uint64_t offset) {
    each_cell(check, cells, offset, l,
              [&](RaceCell& cell, AccessRecord own) { check_write(check, cell, own); });
  });
  bool overlap = false;
  each_place(check, lanes, [&](int l, RaceCell* cells, uint64_t offset) {
    each_cell(check, cells, offset, l, [&](RaceCell& cell, AccessRecord own) {
      // Anything else of this warp at this clock would have been a conflict above.
      const AccessRecord lane_bits = AccessRecord{31} << kLaneShift;
      overlap |= (cell.write | lane_bits) == (own | lane_bits) && cell.write != own;
      cell.write = own;
      cell.read = cell.read2 = 0;
      cell.instruction[0] = check.instruction;
    });
  });
  return overlap;
}

}  // namespace

bool check_race(Warp& warp, const Instruction& in, const Request& request, AccessKind kind) {
  const bool shared = request.space == Space::shared;
  if (!shared && request.space != Space::global) return false;
  const BlockOrder& order = *warp.block->order;
  const uint64_t oldest = shared ? order.id : order.launch->earlier->oldest_unordered();
  const AccessRecord base = order.id << kBlockShift |
                            static_cast<AccessRecord>(order.warps[warp.index].clock)
                                << kClockShift |
                            static_cast<AccessRecord>(warp.index) << kWarpShift | flags_of(kind);
  const Check check{warp,    in,
                    request, kind,
                    order,   oldest << kBlockShift,
                    base,    static_cast<uint16_t>(std::min(in.index, 0xFFFF))};
  if (!shared) check_regions(check);
  if (!check.is_write()) {
    each_place(check, representative_lanes(request), [&](int l, RaceCell* cells, uint64_t offset) {
      each_cell(check, cells, offset, l,
                [&](RaceCell& cell, AccessRecord own) { visit_read(check, cell, own); });
    });
    return false;
  }
  const bool overlap = visit_writes(check);
  if (!shared && flags_of(kind) == kAtomic) note_atomic(warp, request.mask);
  return overlap && kind != AccessKind::atomic;
}

}  // namespace funnel::cudacpu
