// SPDX-License-Identifier: Apache-2.0
// Instructions in which lanes of a warp work together: shfl, vote, match, redux, bar.warp.
#include <sstream>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/collective.h"
#include "tests/cudacpu/race.h"

namespace funnel::cudacpu {
namespace {

std::string lanes_text(Mask lanes) {
  std::ostringstream text;
  const char* comma = "";
  each_lane(lanes, [&](int l) {
    text << comma << l;
    comma = ", ";
  });
  return text.str();
}

// Takes the lanes that wait for others at this instruction into the running group.
Mask join_waiting(Warp& warp, const Instruction& in) {
  Mask joined = 0;
  auto kept = warp.groups.begin();
  for (const Group& one : warp.groups) {
    if (one.waiting == Waiting::collective && one.pc == in.index)
      joined |= one.lanes;
    else
      *kept++ = one;
  }
  warp.groups.erase(kept, warp.groups.end());
  warp.lanes |= joined;
  return joined;
}

void check_mask(const Warp& warp, const Instruction& in, int lane, Mask named) {
  if ((named & kLaneBits[lane]) == 0) {
    fail(warp, in, lane, FaultKind::warp_mask,
         "lane " + std::to_string(lane) + " is not in its own mask, lanes " + lanes_text(named));
  }
  if ((named & ~warp.alive()) != 0) {
    fail(warp, in, lane, FaultKind::warp_mask,
         "the mask names lanes " + lanes_text(named & ~warp.alive()) +
             ", which have exited or do not exist");
  }
}

}  // namespace

void run_collective(Warp& warp, const Instruction& in, Mask active, int32_t mask_slot,
                    void (*work)(Warp&, const Instruction&, Mask)) {
  active |= join_waiting(warp, in);
  const Mask* masks = warp.reg<Mask>(mask_slot);
  while (active != 0) {
    const int first = lowest_lane(active);
    const Mask named = masks[first];
    Mask callers = 0;
    each_lane(active, [&](int l) {
      if (masks[l] == named) callers |= kLaneBits[l];
    });
    each_lane(callers, [&](int l) { check_mask(warp, in, l, named); });
    active &= ~callers;
    if (callers == named)
      work(warp, in, named);
    else
      park(warp, in, callers, Waiting::collective, 0);
  }
}

namespace {

// --- shfl.sync.mode.b32 d|p, a, b, c, mask ------------------------------------------------------

enum class Shuffle : uint32_t { up, down, bfly, idx };

// The lane that `lane` reads from, or -1 where the clamp makes it read its own value.
int source_lane(Shuffle mode, int lane, uint32_t b, uint32_t c) {
  const int clamp = static_cast<int>(c & 31), segment = static_cast<int>((c >> 8) & 31);
  const int most = (lane & segment) | (clamp & ~segment);
  const int least = lane & segment;
  const int by = static_cast<int>(b & 31);
  int from = 0;
  switch (mode) {
    case Shuffle::up:
      from = lane - by;
      return from >= most ? from : -1;
    case Shuffle::down:
      from = lane + by;
      break;
    case Shuffle::bfly:
      from = lane ^ by;
      break;
    case Shuffle::idx:
      from = least | (by & ~segment);
      break;
  }
  return from <= most ? from : -1;
}

void work_shfl(Warp& warp, const Instruction& in, Mask mask) {
  alignas(64) uint32_t values[kLanes], out[kLanes];
  std::memcpy(values, warp.reg<uint32_t>(in.op[2]), sizeof values);
  const uint32_t* b = warp.reg<uint32_t>(in.op[3]);
  const uint32_t* c = warp.reg<uint32_t>(in.op[4]);
  Mask in_range = 0;
  each_lane(mask, [&](int l) {
    const int from = source_lane(static_cast<Shuffle>(in.detail), l, b[l], c[l]);
    if (from >= 0) in_range |= kLaneBits[l];
    const int read = from >= 0 ? from : l;
    if ((mask & kLaneBits[read]) == 0) {
      fail(warp, in, l, FaultKind::warp_mask,
           "reads the value of lane " + std::to_string(read) +
               ", which does not take part; lanes " + lanes_text(mask) + " do");
    }
    out[l] = values[read];
  });
  keep(warp.reg<uint32_t>(in.op[0]), out, mask);
  if (in.op[1] >= 0) keep_bits(warp, in.op[1], in_range, mask);
}
void run_shfl(Warp& warp, const Instruction& in, Mask mask) {
  run_collective(warp, in, mask, in.op[5], work_shfl);
}
void build_shfl(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!in.has("sync") || in.operands.size() != 5) throw UnknownForm();
  const PtxOperand& target = in.operands[0];
  if (target.kind == PtxOperand::Kind::pair) {
    out.op[0] = decoder.destination(target.parts[0], 32);
    out.op[1] = decoder.destination(target.parts[1], 1);
  } else {
    out.op[0] = decoder.destination(target, 32);
  }
  for (int i = 1; i < 5; ++i) out.op[i + 1] = decoder.source(in.operands[i], 32);
  out.detail = static_cast<uint32_t>(in.has("up")     ? Shuffle::up
                                     : in.has("down") ? Shuffle::down
                                     : in.has("bfly") ? Shuffle::bfly
                                                      : Shuffle::idx);
  out.run = run_shfl;
}

// --- vote.sync.mode d, {!}a, mask ---------------------------------------------------------------

enum class Vote : uint32_t { ballot, all, any, uni };
constexpr uint32_t kNegated = 8;

void work_vote(Warp& warp, const Instruction& in, Mask mask) {
  const Mask flip = (in.detail & kNegated) != 0 ? kAllLanes : 0;
  const Mask yes = (warp.predicate(in.op[1]) ^ flip) & mask;
  const auto mode = static_cast<Vote>(in.detail & 7);
  if (mode == Vote::ballot) {
    each_lane(mask, [&](int l) { warp.reg<uint32_t>(in.op[0])[l] = yes; });
    return;
  }
  const bool result = mode == Vote::all   ? yes == mask
                      : mode == Vote::any ? yes != 0
                                          : yes == mask || yes == 0;
  keep_bits(warp, in.op[0], result ? kAllLanes : 0, mask);
}
void run_vote(Warp& warp, const Instruction& in, Mask mask) {
  run_collective(warp, in, mask, in.op[2], work_vote);
}
void build_vote(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!in.has("sync") || in.operands.size() != 3) throw UnknownForm();
  const Vote mode = in.has("ballot") ? Vote::ballot
                    : in.has("all")  ? Vote::all
                    : in.has("any")  ? Vote::any
                                     : Vote::uni;
  PtxOperand predicate = in.operands[1];
  out.detail = static_cast<uint32_t>(mode) | (predicate.negated ? kNegated : 0);
  predicate.negated = false;
  out.op[0] = decoder.destination(in.operands[0], mode == Vote::ballot ? 32 : 1);
  out.op[1] = decoder.source(predicate, 1);
  out.op[2] = decoder.source(in.operands[2], 32);
  out.run = run_vote;
}

// --- match.{any,all}.sync d{|p}, a, mask --------------------------------------------------------

template <class T, bool All>
void work_match(Warp& warp, const Instruction& in, Mask mask) {
  alignas(64) T a[kLanes];
  std::memcpy(a, warp.reg<T>(in.op[2]), sizeof a);
  uint32_t* out = warp.reg<uint32_t>(in.op[0]);
  bool all_same = true;
  each_lane(mask, [&](int l) {
    Mask same = 0;
    each_lane(mask, [&](int other) {
      if (a[other] == a[l]) same |= kLaneBits[other];
    });
    all_same = all_same && same == mask;
    out[l] = same;
  });
  if (!All) return;
  each_lane(mask, [&](int l) { out[l] = all_same ? mask : 0; });
  if (in.op[1] >= 0) keep_bits(warp, in.op[1], all_same ? kAllLanes : 0, mask);
}
template <class T, bool All>
void run_match(Warp& warp, const Instruction& in, Mask mask) {
  run_collective(warp, in, mask, in.op[3], work_match<T, All>);
}
void build_match(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const PtxOperand& target = in.operands.at(0);
  const bool pair = target.kind == PtxOperand::Kind::pair, wide = in.type() == "b64";
  out.op[0] = decoder.destination(pair ? target.parts[0] : target, 32);
  if (pair) out.op[1] = decoder.destination(target.parts[1], 1);
  out.op[2] = decoder.source(in.operands.at(1), wide ? 64 : 32);
  out.op[3] = decoder.source(in.operands.at(2), 32);
  if (in.has("all"))
    out.run = wide ? run_match<uint64_t, true> : run_match<uint32_t, true>;
  else
    out.run = wide ? run_match<uint64_t, false> : run_match<uint32_t, false>;
}

// --- redux.sync.op.type d, a, mask --------------------------------------------------------------

enum class Reduce : uint32_t { add, min, max, land, lor, lxor };
constexpr const char* kReductions[] = {"add", "min", "max", "and", "or", "xor"};

template <class T>
void work_redux(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  T total = a[lowest_lane(mask)];
  each_lane(mask & (mask - 1), [&](int l) {
    switch (static_cast<Reduce>(in.detail)) {
      case Reduce::add:
        total = static_cast<T>(uint32_t(total) + uint32_t(a[l]));
        break;
      case Reduce::min:
        total = a[l] < total ? a[l] : total;
        break;
      case Reduce::max:
        total = a[l] > total ? a[l] : total;
        break;
      case Reduce::land:
        total &= a[l];
        break;
      case Reduce::lor:
        total |= a[l];
        break;
      case Reduce::lxor:
        total ^= a[l];
        break;
    }
  });
  each_lane(mask, [&](int l) { warp.reg<T>(in.op[0])[l] = total; });
}
template <class T>
void run_redux(Warp& warp, const Instruction& in, Mask mask) {
  run_collective(warp, in, mask, in.op[2], work_redux<T>);
}
void build_redux(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  for (uint32_t i = 0; i < std::size(kReductions); ++i) {
    if (!in.has(kReductions[i])) continue;
    out.detail = i;
    set_operands(in, out, decoder, {32, 32, 32});
    if (in.type() == "s32")
      out.run = run_redux<int32_t>;
    else if (in.type() == "u32" || in.type() == "b32")
      out.run = run_redux<uint32_t>;
    else
      throw UnknownForm();
    return;
  }
  throw UnknownForm();
}

// --- bar.warp.sync mask -------------------------------------------------------------------------

// Unlike the others it may be reached from several places: it is complete when every lane of the
// mask waits at one of them.
void run_warp_barrier(Warp& warp, const Instruction& in, Mask active) {
  const Mask* masks = warp.reg<Mask>(in.op[0]);
  each_lane(active, [&](int l) { check_mask(warp, in, l, masks[l]); });
  park(warp, in, active, Waiting::collective, 0);
  const auto waits = [&](const Group& one) {
    return one.waiting == Waiting::collective && warp.program->code[one.pc].run == in.run;
  };
  Mask here = 0;
  for (const Group& one : warp.groups) {
    if (waits(one)) here |= one.lanes;
  }
  const auto complete = [&](const Group& one) {
    const Mask* its = warp.reg<Mask>(warp.program->code[one.pc].op[0]);
    Mask named = 0;
    each_lane(one.lanes, [&](int l) { named |= its[l]; });
    return (named & ~here) == 0;
  };
  Mask released = 0;
  for (Group& one : warp.groups) {
    if (!waits(one) || !complete(one)) continue;
    released |= one.lanes;
    one.waiting = Waiting::no;
    ++one.pc;
    warp.switch_pc = std::min(warp.switch_pc, one.pc);
  }
  if (released != 0) note_warp_barrier(warp, released);
}

void run_activemask(Warp& warp, const Instruction& in, Mask mask) {
  fail(warp, in, lowest_lane(mask), FaultKind::warp_mask,
       "which lanes run together is up to the device; masks must follow from indices");
}
void build_activemask(const PtxInstruction&, Instruction& out, Decoder&) {
  out.run = run_activemask;
}

}  // namespace

void build_warp_barrier(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  out.op[0] = decoder.source(in.operands.at(0), 32);
  out.run = run_warp_barrier;
}

std::vector<OpcodeEntry> warp_opcodes() {
  return {{"shfl", build_shfl},
          {"vote", build_vote},
          {"match", build_match},
          {"redux", build_redux},
          {"activemask", build_activemask}};
}

}  // namespace funnel::cudacpu
