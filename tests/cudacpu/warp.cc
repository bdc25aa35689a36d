// SPDX-License-Identifier: Apache-2.0
// How the lanes of a warp part, meet again, wait and end.
#include <algorithm>

#include "tests/cudacpu/exec.h"
#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/statistics.h"

namespace funnel::cudacpu {
namespace {

void find_switch(Warp& warp) {
  warp.switch_pc = INT_MAX;
  for (const Group& one : warp.groups) {
    if (one.waiting == Waiting::no) warp.switch_pc = std::min(warp.switch_pc, one.pc);
  }
}

// Makes the runnable groups with the lowest counter the running one. False if there is none.
bool choose_group(Warp& warp) {
  find_switch(warp);
  if (warp.switch_pc == INT_MAX) return false;
  warp.pc = warp.switch_pc;
  warp.lanes = 0;
  auto kept = warp.groups.begin();
  for (const Group& one : warp.groups) {
    if (one.waiting == Waiting::no && one.pc == warp.pc)
      warp.lanes |= one.lanes;
    else
      *kept++ = one;
  }
  warp.groups.erase(kept, warp.groups.end());
  find_switch(warp);
  return true;
}

}  // namespace

void park(Warp& warp, const Instruction& instruction, Mask lanes, Waiting why, int barrier) {
  warp.groups.push_back({instruction.index, lanes, why, barrier});
  warp.lanes &= ~lanes;
  if (warp.lanes == 0) warp.stop = true;
}

void branch(Warp& warp, const Instruction& instruction, Mask taken, int target) {
  if (target <= instruction.index && ++warp.loops > warp.block->most_loops) {
    fail(warp, instruction, lowest_lane(taken), FaultKind::endless,
         "the loop has run " + std::to_string(warp.block->most_loops) + " times");
  }
  if (taken == warp.lanes) {
    warp.pc = target;
    return;
  }
  warp.groups.push_back({target, taken, Waiting::no, 0});
  warp.lanes &= ~taken;
  warp.switch_pc = std::min(warp.switch_pc, target);
}

void exit_lanes(Warp& warp, Mask lanes) {
  warp.exited |= lanes;
  warp.block->alive -= __builtin_popcount(lanes);
  warp.lanes &= ~lanes;
  if (warp.lanes == 0) warp.stop = true;
}

void run_warp(Warp& warp) {
  const Instruction* const code = warp.program->code.data();
  LaunchStatistics* const statistics = warp.block->statistics;
  while (choose_group(warp)) {
    warp.stop = false;
    while (!warp.stop) {
      const Instruction& in = code[warp.pc++];
      Mask mask = warp.lanes;
      if (in.guard >= 0) mask &= warp.predicate(in.guard) ^ in.guard_flip;
      ++warp.executed;
      if (statistics != nullptr) statistics->instruction(in, __builtin_popcount(mask));
      if (mask != 0) in.run(warp, in, mask);
      if (warp.pc >= warp.switch_pc && !warp.stop) {
        warp.groups.push_back({warp.pc, warp.lanes, Waiting::no, 0});
        break;
      }
    }
    warp.lanes = 0;
  }
}

}  // namespace funnel::cudacpu
