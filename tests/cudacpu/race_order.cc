// SPDX-License-Identifier: Apache-2.0
// The happens-before half of the race checker: clocks, and who knows of whom.
#include "tests/cudacpu/race_order.h"

#include <algorithm>

#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {
namespace {

constexpr uint64_t kMostBlocks = uint64_t{1} << 28;
constexpr uint32_t kMostClock = (1u << 22) - 1;
uint64_t next_block = 1;

void advance(WarpOrder& warp) {
  if (warp.clock < kMostClock) ++warp.clock;
}

WarpOrder& order_of(Warp& warp) {
  return warp.block->order->warps[warp.index];
}

}  // namespace

bool happened_before(const BlockOrder& order, int warp, int lane, uint32_t clock, int now_warp,
                     int now_lane) {
  const WarpOrder& now = order.warps[now_warp];
  if (warp != now_warp) return clock < now.others.warps[warp];
  if (lane == now_lane || clock < now.synced) return true;
  return !now.lanes.empty() && clock < now.lanes[now_lane][lane];
}

bool released(const BlockOrder& order, uint64_t block, int warp, int lane, uint32_t clock) {
  const auto found = order.launch->released.find(block);
  if (found == order.launch->released.end()) return false;
  if (clock < found->second.warps.warps[warp]) return true;
  const auto thread = found->second.threads.find(warp * kLanes + lane);
  return thread != found->second.threads.end() && clock < thread->second;
}

bool acquired(const BlockOrder& order, int warp, int lane) {
  return std::any_of(order.acquires.begin(), order.acquires.end(), [&](const Moment& one) {
    if (one.warp == warp && (one.lanes & kLaneBits[lane]) != 0) return true;
    return happened_before(order, one.warp, lowest_lane(one.lanes), one.clock, warp, lane);
  });
}

std::unique_ptr<LaunchOrder> begin_launch_order(const Program& program,
                                                const std::vector<uint64_t>& turns) {
  if (next_block + turns.size() >= kMostBlocks) {
    // Ids are used up: what earlier launches did is forgotten.
    forget_earlier_launches();
    for (const Allocation* one : live_allocations()) {
      if (one->shadow != nullptr) shadow_of(*one).cells.clear();
    }
    next_block = 1;
  }
  auto launch = std::make_unique<LaunchOrder>();
  launch->first_block = next_block;
  launch->turns = turns;
  launch->earlier = std::make_unique<EarlierWork>(program, next_block, turns.size());
  next_block += turns.size();
  return launch;
}

std::unique_ptr<BlockOrder> begin_block_order(LaunchOrder& launch, size_t turn, size_t warps) {
  auto order = std::make_unique<BlockOrder>();
  order->id = launch.first_block + turn;
  order->launch = &launch;
  order->warps.resize(warps);
  return order;
}

void note_arrival(Warp& warp, int barrier) {
  if (warp.block->order == nullptr) return;
  WarpOrder& order = order_of(warp);
  advance(order);
  Knowledge& arrived = warp.block->order->arrived[barrier];
  arrived.join(order.others);
  arrived.warps[warp.index] = std::max(arrived.warps[warp.index], order.clock);
}

void note_release(Warp& warp, Mask lanes, int barrier) {
  if (warp.block->order == nullptr) return;
  WarpOrder& order = order_of(warp);
  order.others.join(warp.block->order->arrived[barrier]);
  if (lanes == warp.alive())
    order.synced = order.clock;
  else
    note_warp_barrier(warp, lanes);
}

void forget_arrivals(Block& block, int barrier) {
  if (block.order != nullptr) block.order->arrived[barrier] = {};
}

void note_warp_barrier(Warp& warp, Mask lanes) {
  if (warp.block->order == nullptr) return;
  WarpOrder& order = order_of(warp);
  advance(order);
  if (lanes == warp.alive()) {
    order.synced = order.clock;
    return;
  }
  if (order.lanes.empty()) order.lanes.resize(kLanes);
  std::array<uint32_t, kLanes> joined{};
  each_lane(lanes, [&](int l) {
    for (int other = 0; other < kLanes; ++other) {
      joined[other] = std::max(joined[other], order.lanes[l][other]);
    }
  });
  each_lane(lanes, [&](int l) { joined[l] = order.clock; });
  each_lane(lanes, [&](int l) { order.lanes[l] = joined; });
}

void note_fence(Warp& warp, Mask lanes, bool beyond_block) {
  if (warp.block->order == nullptr || !beyond_block) return;
  BlockOrder& block = *warp.block->order;
  WarpOrder& order = order_of(warp);
  order.fenced = lanes;
  order.fence_clock = order.clock + 1;
  order.at_fence = order.others;
  order.at_fence_synced = order.synced;
  const int lane = lowest_lane(lanes);
  const bool after_atomic =
      std::any_of(block.atomics.begin(), block.atomics.end(), [&](const Moment& one) {
        if (one.warp == warp.index && (one.lanes & lanes) != 0) return true;
        return happened_before(block, one.warp, lowest_lane(one.lanes), one.clock, warp.index,
                               lane);
      });
  if (after_atomic) block.acquires.push_back({warp.index, lanes, order.clock});
  advance(order);
}

void note_atomic(Warp& warp, Mask lanes) {
  BlockOrder& block = *warp.block->order;
  WarpOrder& order = order_of(warp);
  const auto seen = [&](const Moment& one) {
    return one.warp == warp.index && (lanes & ~one.lanes) == 0;
  };
  if (std::none_of(block.atomics.begin(), block.atomics.end(), seen)) {
    block.atomics.push_back({warp.index, lanes, order.clock});
  }
  const Mask releasing = order.fenced & lanes;
  if (releasing == 0) return;
  Released& released = block.launch->released[block.id];
  released.warps.join(order.at_fence);
  uint32_t& own = released.warps.warps[warp.index];
  own = std::max(own, order.at_fence_synced);
  each_lane(releasing,
            [&](int l) { released.threads[warp.index * kLanes + l] = order.fence_clock; });
}

}  // namespace funnel::cudacpu
