// SPDX-License-Identifier: Apache-2.0
// Branches, the end of threads, traps and fences.
#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/lanes.h"
#include "tests/cudacpu/race.h"

namespace funnel::cudacpu {
namespace {

void run_bra(Warp& warp, const Instruction& in, Mask mask) {
  branch(warp, in, mask, static_cast<int>(in.offset));
}
void build_bra(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  out.offset = decoder.label(in.operands.at(0).name);
  out.run = run_bra;
}

// brx.idx: each lane picks its target from a table.
void run_table_branch(Warp& warp, const Instruction& in, Mask mask) {
  const uint32_t* index = warp.reg<uint32_t>(in.op[0]);
  while (mask != 0) {
    const uint32_t wanted = index[lowest_lane(mask)];
    if (wanted >= in.detail) {
      fail(warp, in, lowest_lane(mask), FaultKind::out_of_bounds, "index beyond the branch table");
    }
    Mask same = 0;
    each_lane(mask, [&](int l) {
      if (index[l] == wanted) same |= kLaneBits[l];
    });
    mask &= ~same;
    branch(warp, in, same, in.list[wanted]);
    if (mask != 0) continue;
  }
}
void build_table_branch(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  out.op[0] = decoder.source(in.operands.at(0), 32);
  const auto found = decoder.function().tables.find(in.operands.at(1).name);
  if (found == decoder.function().tables.end()) throw UnknownForm();
  std::vector<int32_t> targets;
  for (const std::string& name : found->second) targets.push_back(decoder.label(name));
  out.list = decoder.list(targets);
  out.detail = static_cast<uint32_t>(targets.size());
  out.run = run_table_branch;
}

void run_exit(Warp& warp, const Instruction&, Mask mask) {
  exit_lanes(warp, mask);
}
void build_exit(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_exit;
}

void run_trap(Warp& warp, const Instruction& in, Mask mask) {
  fail(warp, in, lowest_lane(mask), FaultKind::trap, "the kernel gave up");
}
void build_trap(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_trap;
}

void run_call(Warp& warp, const Instruction& in, Mask mask) {
  if (warp.program->function.instructions[in.index].text.find("__assertfail") !=
      std::string::npos) {
    fail(warp, in, lowest_lane(mask), FaultKind::trap, "an assertion of the kernel failed");
  }
  fail(warp, in, lowest_lane(mask), FaultKind::unsupported, "calls are not supported");
}
void build_call(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_call;
}

void run_fence(Warp& warp, const Instruction& in, Mask mask) {
  note_fence(warp, mask, in.detail != 0);
}
void build_fence(const PtxInstruction& in, Instruction& out, Decoder&) {
  out.detail = in.has("gl") || in.has("gpu") || in.has("sys") ? 1 : 0;
  out.run = run_fence;
}

void run_nothing(Warp&, const Instruction&, Mask) {}
void build_nothing(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_nothing;
}

}  // namespace

std::vector<OpcodeEntry> control_opcodes() {
  return {{"bra", build_bra},
          {"brx", build_table_branch},
          {"ret", build_exit},
          {"exit", build_exit},
          {"trap", build_trap},
          {"brkpt", build_trap},
          {"call", build_call},
          {"membar", build_fence},
          {"fence", build_fence},
          {"nanosleep", build_nothing},
          {"griddepcontrol", build_nothing}};
}

}  // namespace funnel::cudacpu
