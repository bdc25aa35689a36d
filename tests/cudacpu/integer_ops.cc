// SPDX-License-Identifier: Apache-2.0
// add, sub, mul, mad, div, rem, min, max, abs, neg and the carry forms, for integers. The float
// forms of the same opcodes are in float_ops.cc and half_ops.cc; `add` and the like are dispatched
// here by their type.
#include <limits>
#include <type_traits>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/formats.h"
#include "tests/cudacpu/lanes.h"

namespace funnel::cudacpu {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;
// Wide enough not to promote to int, where 16-bit products would overflow.
template <class T>
using Working = std::conditional_t<(sizeof(T) < 4), uint32_t, Unsigned<T>>;

template <class T>
struct Add {
  static T f(T a, T b) { return static_cast<T>(Working<T>(a) + Working<T>(b)); }
};
template <class T>
struct Sub {
  static T f(T a, T b) { return static_cast<T>(Working<T>(a) - Working<T>(b)); }
};
template <class T>
struct AddSaturated {
  static T f(T a, T b) {
    const int64_t sum = int64_t{a} + int64_t{b};
    return static_cast<T>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
template <class T>
struct MulLow {
  static T f(T a, T b) { return static_cast<T>(Working<T>(a) * Working<T>(b)); }
};

template <class T>
struct WideOf;
template <>
struct WideOf<int16_t> {
  using type = int32_t;
};
template <>
struct WideOf<uint16_t> {
  using type = uint32_t;
};
template <>
struct WideOf<int32_t> {
  using type = int64_t;
};
template <>
struct WideOf<uint32_t> {
  using type = uint64_t;
};
template <>
struct WideOf<int64_t> {
  using type = Int128;
};
template <>
struct WideOf<uint64_t> {
  using type = Uint128;
};
template <class T>
using Wide = typename WideOf<T>::type;

template <class T>
struct MulWide {
  static Wide<T> f(T a, T b) { return static_cast<Wide<T>>(Wide<T>(a) * Wide<T>(b)); }
};
template <class T>
struct MulHigh {
  static T f(T a, T b) { return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> (8 * sizeof(T))); }
};
template <class T>
struct MadLow {
  static T f(T a, T b, T c) { return Add<T>::f(MulLow<T>::f(a, b), c); }
};
template <class T>
struct MadHigh {
  static T f(T a, T b, T c) { return Add<T>::f(MulHigh<T>::f(a, b), c); }
};
template <class T>
struct MadWide {
  static Wide<T> f(T a, T b, Wide<T> c) { return Add<Wide<T>>::f(MulWide<T>::f(a, b), c); }
};

// Division by zero is unspecified in PTX; all bits set, as on devices. Lanes outside the mask hold
// anything, so neither case may trap.
template <class T>
struct Div {
  static T f(T a, T b) {
    if (b == 0) return static_cast<T>(~T{0});
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Sub<T>::f(0, a);
    return static_cast<T>(a / b);
  }
};
template <class T>
struct Rem {
  static T f(T a, T b) {
    if (b == 0) return a;
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
    return static_cast<T>(a % b);
  }
};
template <class T>
struct Min {
  static T f(T a, T b) { return a < b ? a : b; }
};
template <class T>
struct Max {
  static T f(T a, T b) { return a > b ? a : b; }
};
template <class T>
struct Neg {
  static T f(T a) { return Sub<T>::f(0, a); }
};
template <class T>
struct Abs {
  static T f(T a) { return a < 0 ? Neg<T>::f(a) : a; }
};
struct Sad {
  static uint32_t f(int32_t a, int32_t b, uint32_t c) {
    return c + (a > b ? uint32_t(a) - uint32_t(b) : uint32_t(b) - uint32_t(a));
  }
};
struct SadUnsigned {
  static uint32_t f(uint32_t a, uint32_t b, uint32_t c) { return c + (a > b ? a - b : b - a); }
};

template <template <class> class Op>
void build_binary(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_integer(in.type(), [&]<class T>() { set_binary<T, T, T, Op<T>>(in, out, decoder); });
}
template <template <class> class Op>
void build_unary(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_integer(in.type(), [&]<class T>() { set_unary<T, T, Op<T>>(in, out, decoder); });
}

// The carry flag is a register of its own, one for each lane.
template <class T, bool Subtract, bool UseCarry, bool SetCarry>
void run_carry(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  const T* b = warp.reg<T>(in.op[2]);
  alignas(64) T out[kLanes];
  each_lane(mask, [&](int lane) {
    const T carry = UseCarry ? warp.carry[lane] : 0;
    using Wider = Wide<T>;
    const Wider sum =
        Subtract ? Wider(a[lane]) - b[lane] - carry : Wider(a[lane]) + b[lane] + carry;
    out[lane] = static_cast<T>(sum);
    if (SetCarry) warp.carry[lane] = static_cast<uint32_t>(sum >> (8 * sizeof(T))) & 1;
  });
  keep(warp.reg<T>(in.op[0]), out, mask);
}

template <bool Subtract, bool UseCarry>
void build_carry(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const auto set = [&]<class T>() {
    out.run = in.has("cc") ? run_carry<T, Subtract, UseCarry, true>
                           : run_carry<T, Subtract, UseCarry, false>;
    set_operands(in, out, decoder, {bits<T>, bits<T>, bits<T>});
  };
  if (in.type() == "u64" || in.type() == "s64")
    set.template operator()<uint64_t>();
  else if (in.type() == "u32" || in.type() == "s32")
    set.template operator()<uint32_t>();
  else
    throw UnknownForm();
}

template <class T, bool High, bool UseCarry, bool SetCarry>
void run_mad_carry(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  const T* b = warp.reg<T>(in.op[2]);
  const T* c = warp.reg<T>(in.op[3]);
  alignas(64) T out[kLanes];
  each_lane(mask, [&](int lane) {
    using U = Unsigned<T>;
    const U product =
        static_cast<U>(High ? MulHigh<T>::f(a[lane], b[lane]) : MulLow<T>::f(a[lane], b[lane]));
    const Wide<U> sum = Wide<U>(product) + U(c[lane]) + (UseCarry ? warp.carry[lane] : 0);
    out[lane] = static_cast<T>(sum);
    if (SetCarry) warp.carry[lane] = static_cast<uint32_t>(sum >> (8 * sizeof(T))) & 1;
  });
  keep(warp.reg<T>(in.op[0]), out, mask);
}

template <bool UseCarry>
void build_mad_carry(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const bool high = in.has("hi"), sets = in.has("cc");
  with_integer(in.type(), [&]<class T>() {
    if constexpr (sizeof(T) >= 4) {
      out.run = high ? (sets ? run_mad_carry<T, true, UseCarry, true>
                             : run_mad_carry<T, true, UseCarry, false>)
                     : (sets ? run_mad_carry<T, false, UseCarry, true>
                             : run_mad_carry<T, false, UseCarry, false>);
      set_operands(in, out, decoder, {bits<T>, bits<T>, bits<T>, bits<T>});
    } else {
      throw UnknownForm();
    }
  });
}

void build_mul(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (is_half(in)) return build_half(in, out, decoder);
  if (is_float(in)) return build_float(in, out, decoder);
  with_integer(in.type(), [&]<class T>() {
    if (in.has("lo")) {
      set_binary<T, T, T, MulLow<T>>(in, out, decoder);
    } else if (in.has("hi")) {
      set_binary<T, T, T, MulHigh<T>>(in, out, decoder);
    } else if constexpr (sizeof(T) <= 4) {
      set_binary<Wide<T>, T, T, MulWide<T>>(in, out, decoder);
    } else {
      throw UnknownForm();
    }
  });
}

void build_mad(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (is_float(in)) return build_float(in, out, decoder);
  if (in.has("cc")) return build_mad_carry<false>(in, out, decoder);
  with_integer(in.type(), [&]<class T>() {
    if (in.has("lo")) {
      set_ternary<T, T, T, T, MadLow<T>>(in, out, decoder);
    } else if (in.has("hi")) {
      set_ternary<T, T, T, T, MadHigh<T>>(in, out, decoder);
    } else if constexpr (sizeof(T) <= 4) {
      set_ternary<Wide<T>, T, T, Wide<T>, MadWide<T>>(in, out, decoder);
    } else {
      throw UnknownForm();
    }
  });
}

template <template <class> class Op, bool Subtract>
void build_add(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (is_half(in)) return build_half(in, out, decoder);
  if (is_float(in)) return build_float(in, out, decoder);
  if (in.has("cc")) return build_carry<Subtract, false>(in, out, decoder);
  if (in.has("sat")) {
    if (Subtract || in.type() != "s32") throw UnknownForm();
    return set_binary<int32_t, int32_t, int32_t, AddSaturated<int32_t>>(in, out, decoder);
  }
  build_binary<Op>(in, out, decoder);
}

template <void (*Integer)(const PtxInstruction&, Instruction&, Decoder&)>
void build_any(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (is_half(in)) return build_half(in, out, decoder);
  if (is_float(in)) return build_float(in, out, decoder);
  Integer(in, out, decoder);
}

void build_sad(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "s32")
    set_ternary<uint32_t, int32_t, int32_t, uint32_t, Sad>(in, out, decoder);
  else if (in.type() == "u32")
    set_ternary<uint32_t, uint32_t, uint32_t, uint32_t, SadUnsigned>(in, out, decoder);
  else
    throw UnknownForm();
}

}  // namespace

std::vector<OpcodeEntry> integer_opcodes() {
  return {{"add", build_add<Add, false>},
          {"sub", build_add<Sub, true>},
          {"addc", build_carry<false, true>},
          {"subc", build_carry<true, true>},
          {"mul", build_mul},
          {"mad", build_mad},
          {"madc", build_mad_carry<true>},
          {"div", build_any<build_binary<Div>>},
          {"rem", build_binary<Rem>},
          {"min", build_any<build_binary<Min>>},
          {"max", build_any<build_binary<Max>>},
          {"neg", build_any<build_unary<Neg>>},
          {"abs", build_any<build_unary<Abs>>},
          {"sad", build_sad}};
}

}  // namespace funnel::cudacpu
