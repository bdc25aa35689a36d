// SPDX-License-Identifier: Apache-2.0
// Loops over lanes that the compiler vectorises. An operation is a struct with a static function
// `f`; results are computed for all lanes and kept for those of the mask, so `f` must be safe for
// any operands.
#pragma once

#include <cstring>

#include "tests/cudacpu/exec.h"

namespace funnel::cudacpu {

inline constexpr std::array<Mask, kLanes> kLaneBits = [] {
  std::array<Mask, kLanes> bits{};
  for (int lane = 0; lane < kLanes; ++lane) bits[lane] = Mask{1} << lane;
  return bits;
}();

// Calls f(lane) for the lanes of the mask, in ascending order.
template <class F>
inline void each_lane(Mask mask, F f) {
  for (; mask != 0; mask &= mask - 1) f(lowest_lane(mask));
}

template <class T>
inline void keep(T* target, const T* values, Mask mask) {
  if (mask == kAllLanes) {
    std::memcpy(target, values, sizeof(T) * kLanes);
    return;
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    target[lane] = (mask & kLaneBits[lane]) != 0 ? values[lane] : target[lane];
  }
}

template <class D, class A, class Op>
void unary(Warp& warp, const Instruction& in, Mask mask) {
  alignas(64) D out[kLanes];
  const A* a = warp.reg<A>(in.op[1]);
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = Op::f(a[lane]);
  keep(warp.reg<D>(in.op[0]), out, mask);
}

template <class D, class A, class B, class Op>
void binary(Warp& warp, const Instruction& in, Mask mask) {
  alignas(64) D out[kLanes];
  const A* a = warp.reg<A>(in.op[1]);
  const B* b = warp.reg<B>(in.op[2]);
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = Op::f(a[lane], b[lane]);
  keep(warp.reg<D>(in.op[0]), out, mask);
}

template <class D, class A, class B, class C, class Op>
void ternary(Warp& warp, const Instruction& in, Mask mask) {
  alignas(64) D out[kLanes];
  const A* a = warp.reg<A>(in.op[1]);
  const B* b = warp.reg<B>(in.op[2]);
  const C* c = warp.reg<C>(in.op[3]);
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = Op::f(a[lane], b[lane], c[lane]);
  keep(warp.reg<D>(in.op[0]), out, mask);
}

// A predicate register holds one bit a lane.
inline void keep_bits(Warp& warp, int32_t slot, Mask bits, Mask mask) {
  Mask& target = *warp.reg<Mask>(slot);
  target = (target & ~mask) | (bits & mask);
}

// The bits of lanes whose flag (0 or 1) is set.
inline Mask gather_bits(const uint8_t* flags) {
  Mask bits = 0;
  for (int part = 0; part < 4; ++part) {
    uint64_t eight;
    std::memcpy(&eight, flags + 8 * part, 8);
    bits |= static_cast<Mask>((eight * 0x0102040810204080u) >> 56) << (8 * part);
  }
  return bits;
}

}  // namespace funnel::cudacpu
