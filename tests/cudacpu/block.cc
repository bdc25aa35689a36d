// SPDX-License-Identifier: Apache-2.0
// A block: its warps take turns, each until it must wait, until all threads have ended.
#include "tests/cudacpu/block.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {
namespace {

uint32_t special_value(const Block& block, const Warp& warp, const std::string& name, int lane) {
  const Dim3 size = block.launch->block, grid = block.launch->grid;
  const auto thread = static_cast<uint32_t>(warp.index * kLanes + lane);
  const uint32_t x = thread % size.x, y = thread / size.x % size.y, z = thread / size.x / size.y;
  const std::array<std::pair<const char*, uint32_t>, 25> known{{
      {"%tid.x", x},
      {"%tid.y", y},
      {"%tid.z", z},
      {"%ntid.x", size.x},
      {"%ntid.y", size.y},
      {"%ntid.z", size.z},
      {"%ctaid.x", block.index.x},
      {"%ctaid.y", block.index.y},
      {"%ctaid.z", block.index.z},
      {"%nctaid.x", grid.x},
      {"%nctaid.y", grid.y},
      {"%nctaid.z", grid.z},
      {"%laneid", static_cast<uint32_t>(lane)},
      {"%warpid", static_cast<uint32_t>(warp.index)},
      {"%nwarpid", static_cast<uint32_t>(block.warps.size())},
      {"%lanemask_eq", kLaneBits[lane]},
      {"%lanemask_lt", kLaneBits[lane] - 1},
      {"%lanemask_le", (kLaneBits[lane] - 1) | kLaneBits[lane]},
      {"%lanemask_gt", ~((kLaneBits[lane] - 1) | kLaneBits[lane])},
      {"%lanemask_ge", ~(kLaneBits[lane] - 1)},
      {"%smid", static_cast<uint32_t>(block.linear % 132)},
      {"%nsmid", 132},
      {"%gridid", 1},
      {"%dynamic_smem_size", static_cast<uint32_t>(block.launch->dynamic_shared_bytes)},
      {"%total_smem_size", static_cast<uint32_t>(block.shared_bytes)},
  }};
  for (const auto& [one, value] : known) {
    if (name == one) return value;
  }
  throw Fault(FaultKind::unsupported, "cudacpu: unknown special register " + name);
}

bool depends_on_block(const std::string& name) {
  return name.rfind("%ctaid", 0) == 0 || name == "%smid";
}

void fill_special(const Block& block, Warp& warp, const Program::Special& special) {
  const bool varies = !depends_on_block(special.name);
  uint32_t value = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (lane == 0 || varies) value = special_value(block, warp, special.name, lane);
    warp.reg<uint32_t>(special.slot)[lane] = value;
  }
}

void begin(Block& block) {
  std::fill(block.shared.begin(), block.shared.end(), static_cast<char>(kPoison));
  if (block.check_init) block.shared_shadow->written.clear();
  block.barriers = {};
  block.alive = static_cast<int>(block.launch->block.count());
  for (Warp& warp : block.warps) {
    warp.exited = 0;
    warp.groups.assign(1, {0, warp.started, Waiting::no, 0});
    warp.copies.clear();
    warp.loops = 0;
    if (!warp.local.empty()) {
      std::fill(warp.local.begin(), warp.local.end(), static_cast<char>(kPoison));
    }
    for (const Program::Special& one : block.program->specials) {
      if (depends_on_block(one.name)) fill_special(block, warp, one);
    }
  }
}

// No warp can go on: says who waits where.
[[noreturn]] void report_deadlock(Block& block) {
  const Group* first = nullptr;
  Warp* its_warp = nullptr;
  std::ostringstream text;
  for (Warp& warp : block.warps) {
    for (const Group& one : warp.groups) {
      if (first == nullptr ||
          (one.waiting == Waiting::collective && first->waiting != Waiting::collective)) {
        first = &one;
        its_warp = &warp;
      }
    }
  }
  const bool barrier = first->waiting == Waiting::barrier;
  text << (barrier ? "threads wait here for others of the block that never come"
                   : "lanes wait here for others of their mask that never come");
  for (Warp& warp : block.warps) {
    for (const Group& one : warp.groups) {
      if (&one == first || one.pc == first->pc) continue;
      text << "; thread " << warp.index * kLanes + lowest_lane(one.lanes) << " waits at "
           << describe_instruction(*block.program, one.pc);
    }
  }
  const int ended = static_cast<int>(block.launch->block.count()) - block.alive;
  if (ended > 0) text << "; " << ended << " threads have ended";
  fail(*its_warp, block.program->code[first->pc], lowest_lane(first->lanes),
       barrier ? FaultKind::barrier : FaultKind::warp_mask, text.str());
}

}  // namespace

Block make_block(const Program& program, const Launch& launch) {
  Block block;
  block.program = &program;
  block.launch = &launch;
  block.shared_bytes = launch.dynamic_shared_bytes > 0
                           ? program.dynamic_shared_offset + launch.dynamic_shared_bytes
                           : program.shared_bytes;
  block.shared.resize(static_cast<size_t>(block.shared_bytes));
  block.check_init = option("init") == "on" && !is_rehearsal();
  block.most_loops = static_cast<uint64_t>(option_number("loops"));
  block.shared_shadow = std::make_shared<Shadow>(block.shared_bytes);
  const auto threads = static_cast<int>(launch.block.count());
  block.warps.resize((threads + kLanes - 1) / kLanes);
  for (size_t i = 0; i < block.warps.size(); ++i) {
    Warp& warp = block.warps[i];
    warp.program = &program;
    warp.index = static_cast<int>(i);
    const int lanes = std::min(kLanes, threads - static_cast<int>(i) * kLanes);
    warp.started = lanes == kLanes ? kAllLanes : (Mask{1} << lanes) - 1;
    warp.registers = program.registers;
    warp.local.resize(static_cast<size_t>(program.local_bytes * kLanes));
    for (const Program::Special& one : program.specials) fill_special(block, warp, one);
  }
  return block;
}

void run_block(Block& block, const Order& order) {
  for (Warp& warp : block.warps) warp.block = &block;
  begin(block);
  std::vector<int> turns(block.warps.size());
  std::iota(turns.begin(), turns.end(), 0);
  while (block.alive > 0) {
    order.arrange(turns);
    bool progress = false;
    for (const int index : turns) {
      Warp& warp = block.warps[index];
      const uint64_t before = warp.executed;
      run_warp(warp);
      progress = progress || warp.executed != before;
    }
    release_barriers(block);
    if (!progress) report_deadlock(block);
  }
}

}  // namespace funnel::cudacpu
