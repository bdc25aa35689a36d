// SPDX-License-Identifier: Apache-2.0
// bar and barrier: threads arrive one by one, in any order, and are released together.
#include <sstream>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/race.h"

namespace funnel::cudacpu {
namespace {

enum class Result : uint32_t { none, popc, all, any };
constexpr uint32_t kResultMask = 3, kArriveOnly = 4, kNegated = 8;

int uniform(Warp& warp, const Instruction& in, Mask mask, int32_t slot, const char* what) {
  const uint32_t* values = warp.reg<uint32_t>(slot);
  const uint32_t first = values[lowest_lane(mask)];
  each_lane(mask, [&](int l) {
    if (values[l] != first) {
      fail(warp, in, l, FaultKind::barrier,
           std::string("lanes of the warp name different ") + what);
    }
  });
  return static_cast<int>(first);
}

// op: result (or -1), barrier, count (or -1), predicate (or -1).
void run_barrier(Warp& warp, const Instruction& in, Mask mask) {
  const int id = uniform(warp, in, mask, in.op[1], "barriers");
  const int count = in.op[2] < 0 ? 0 : uniform(warp, in, mask, in.op[2], "thread counts");
  if (id < 0 || id > 15) fail(warp, in, lowest_lane(mask), FaultKind::barrier, "no such barrier");
  if (count % kLanes != 0) {
    fail(warp, in, lowest_lane(mask), FaultKind::barrier, "the count is no multiple of 32");
  }
  BarrierState& state = warp.block->barriers[id];
  if (state.arrived == 0) {
    state.pc = in.index;
    state.expected = count;
  } else if (count != state.expected || (count == 0 && state.pc != in.index)) {
    fail(warp, in, lowest_lane(mask), FaultKind::barrier,
         "other threads of the block wait for barrier " + std::to_string(id) +
             " at another place: " + describe_instruction(*warp.program, state.pc));
  }
  if (in.op[3] >= 0) {
    const Mask flip = (in.detail & kNegated) != 0 ? kAllLanes : 0;
    state.votes += __builtin_popcount((warp.predicate(in.op[3]) ^ flip) & mask);
  }
  state.arrived += __builtin_popcount(mask);
  note_arrival(warp, id);
  if ((in.detail & kArriveOnly) == 0) park(warp, in, mask, Waiting::barrier, id);
}

void give_result(Warp& warp, const Instruction& in, Mask lanes, const BarrierState& state) {
  const auto kind = static_cast<Result>(in.detail & kResultMask);
  if (kind == Result::none) return;
  if (kind == Result::popc) {
    each_lane(lanes,
              [&](int l) { warp.reg<uint32_t>(in.op[0])[l] = static_cast<uint32_t>(state.votes); });
    return;
  }
  const bool yes = kind == Result::all ? state.votes == state.arrived : state.votes > 0;
  keep_bits(warp, in.op[0], yes ? kAllLanes : 0, lanes);
}

void build_barrier(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.has("cluster")) throw UnknownForm();
  if (in.has("warp")) return build_warp_barrier(in, out, decoder);
  size_t at = 0;
  if (in.has("red")) {
    const bool popc = in.has("popc");
    out.op[0] = decoder.destination(in.operands.at(at++), popc ? 32 : 1);
    out.detail = static_cast<uint32_t>(popc            ? Result::popc
                                       : in.has("and") ? Result::all
                                                       : Result::any);
    PtxOperand predicate = in.operands.back();
    if (predicate.negated) out.detail |= kNegated;
    predicate.negated = false;
    out.op[3] = decoder.source(predicate, 1);
  } else if (in.has("arrive")) {
    out.detail = kArriveOnly;
  } else if (!in.has("sync")) {
    throw UnknownForm();
  }
  const size_t end = in.operands.size() - (in.has("red") ? 1 : 0);
  out.op[1] = decoder.source(in.operands.at(at++), 32);
  if (at < end) out.op[2] = decoder.source(in.operands[at], 32);
  out.run = run_barrier;
}

}  // namespace

void release_barriers(Block& block) {
  for (int id = 0; id < static_cast<int>(block.barriers.size()); ++id) {
    BarrierState& state = block.barriers[id];
    const int expected = state.expected != 0 ? state.expected : block.alive;
    if (state.arrived == 0 || state.arrived < expected) continue;
    std::array<Mask, 32> released{};
    for (Warp& warp : block.warps) {
      for (Group& one : warp.groups) {
        if (one.waiting != Waiting::barrier || one.barrier != id) continue;
        give_result(warp, warp.program->code[one.pc], one.lanes, state);
        released[warp.index] |= one.lanes;
        one.waiting = Waiting::no;
        ++one.pc;
      }
    }
    for (Warp& warp : block.warps) {
      if (released[warp.index] != 0) note_release(warp, released[warp.index], id);
    }
    forget_arrivals(block, id);
    state = {};
  }
}

std::vector<OpcodeEntry> barrier_opcodes() {
  return {{"bar", build_barrier}, {"barrier", build_barrier}};
}

}  // namespace funnel::cudacpu
