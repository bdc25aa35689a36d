// SPDX-License-Identifier: Apache-2.0
// The race checker: whether two accesses to the same bytes are ordered, whatever the schedule.
//
// For every two bytes it keeps the last write and two reads of different threads, each with block,
// warp, lane and the warp's clock. A clock counts a warp's synchronisations; what a thread knows of
// the others' clocks grows at barriers and at bar.warp.sync. Two accesses of a block are ordered if
// the later thread knows of the earlier clock. Between blocks they are ordered if the first block
// made a fence and then an atomic, and the second an atomic and then a fence. Launches are ordered
// by streams and events (stream_race.h). A shuffle orders nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tests/cudacpu/exec.h"
#include "tests/cudacpu/memory_access.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {

// An access packed into 64 bits, later blocks having greater values:
// block 28 | clock 22 | warp 5 | lane 5 | bytes of the cell 2 | atomic 1 | asynchronous 1.
using AccessRecord = uint64_t;

inline constexpr int kBlockShift = 36;
inline uint64_t block_of(AccessRecord record) {
  return record >> kBlockShift;
}
// Which of a cell's two bytes: bits 0 and 1.
inline unsigned bytes_of_cell(AccessRecord record) {
  return static_cast<unsigned>(record >> 2) & 3;
}

struct RaceCell {
  AccessRecord write, read, read2;
  std::array<uint16_t, 3> instruction;  // of each
};

// Until which clock (exclusive) the accesses of each warp, or thread, of a block are known.
struct Knowledge {
  std::array<uint32_t, 32> warps{};
  void join(const Knowledge& other) {
    for (size_t i = 0; i < warps.size(); ++i) warps[i] = std::max(warps[i], other.warps[i]);
  }
};

struct WarpOrder {
  uint32_t clock = 1;
  uint32_t synced = 0;  // accesses of all lanes before this clock are known to all lanes
  // [lane][other]: the same after synchronisations of some lanes; empty until the first of those.
  std::vector<std::array<uint32_t, kLanes>> lanes;
  Knowledge others;
  // The last fence: by which lanes, and what they knew.
  Mask fenced = 0;
  uint32_t fence_clock = 0;
  Knowledge at_fence;
  uint32_t at_fence_synced = 0;
};

// A point in a block's execution.
struct Moment {
  int warp = 0;
  Mask lanes = 0;
  uint32_t clock = 0;
};

// What a block has made known to other blocks.
struct Released {
  Knowledge warps;
  std::unordered_map<int, uint32_t> threads;  // beyond what their warps' entries say
};

// Of one launch.
struct LaunchOrder {
  uint64_t first_block = 0;     // the id of the block that runs first
  std::vector<uint64_t> turns;  // linear indices in the order they run
  std::unordered_map<uint64_t, Released> released;
  std::unique_ptr<EarlierWork> earlier;
};

// Of the block that runs.
struct BlockOrder {
  uint64_t id = 0;
  LaunchOrder* launch = nullptr;
  std::vector<WarpOrder> warps;
  std::array<Knowledge, 16> arrived;  // at each barrier
  std::vector<Moment> atomics;        // the first of each warp to global memory
  std::vector<Moment> acquires;       // the first fence of each warp after an atomic
};

// Ids for the blocks of a launch.
std::unique_ptr<LaunchOrder> begin_launch_order(const Program& program,
                                                const std::vector<uint64_t>& turns);
std::unique_ptr<BlockOrder> begin_block_order(LaunchOrder& launch, size_t turn, size_t warps);

// Called by the instructions that synchronise; nothing happens if the checker is off.
void note_arrival(Warp& warp, int barrier);
void note_release(Warp& warp, Mask lanes, int barrier);
void forget_arrivals(Block& block, int barrier);
void note_warp_barrier(Warp& warp, Mask lanes);
void note_fence(Warp& warp, Mask lanes, bool beyond_block);

// Faults if an access of the request races. True if lanes of this one write the same bytes: then
// it is a race if their values differ.
bool check_race(Warp& warp, const Instruction& in, const Request& request, AccessKind kind);

}  // namespace funnel::cudacpu
