// SPDX-License-Identifier: Apache-2.0
// Logic, shifts, bit fields, counts and permutations.
#include <bit>

#include "tests/cudacpu/arithmetic.h"

namespace funnel::cudacpu {
namespace {

template <class T>
struct And {
  static T f(T a, T b) { return a & b; }
};
template <class T>
struct Or {
  static T f(T a, T b) { return a | b; }
};
template <class T>
struct Xor {
  static T f(T a, T b) { return a ^ b; }
};
template <class T>
struct Not {
  static T f(T a) { return static_cast<T>(~a); }
};
template <class T>
struct LogicalNot {
  static T f(T a) { return a == 0 ? 1 : 0; }
};

// Shifts by the width or more give zero, or the sign.
template <class T>
struct ShiftLeft {
  static T f(T a, uint32_t n) {
    return n < unsigned(bits<T>) ? static_cast<T>(a << (n & (bits<T> - 1))) : T{0};
  }
};
template <class T>
struct ShiftRight {
  static T f(T a, uint32_t n) {
    const uint32_t most = bits<T> - 1;
    if (std::is_signed_v<T>) return static_cast<T>(a >> (n > most ? most : n));
    return n > most ? T{0} : static_cast<T>(a >> (n & most));
  }
};

template <bool Left, bool Wrap>
struct Funnel {
  static uint32_t f(uint32_t low, uint32_t high, uint32_t n) {
    n = Wrap ? n & 31 : (n > 32 ? 32 : n);
    const uint64_t both = uint64_t{high} << 32 | low;
    return static_cast<uint32_t>(Left ? (both << n) >> 32 : both >> n);
  }
};

template <class T>
struct CountOnes {
  static uint32_t f(T a) { return static_cast<uint32_t>(std::popcount(a)); }
};
template <class T>
struct LeadingZeros {
  static uint32_t f(T a) { return static_cast<uint32_t>(std::countl_zero(a)); }
};
// The position of the highest bit that differs from the sign (or is set, if unsigned); ~0 if none.
template <class T, bool Shift>
struct FindHighest {
  static uint32_t f(T a) {
    using U = std::make_unsigned_t<T>;
    const U v = std::is_signed_v<T> && a < 0 ? static_cast<U>(~a) : static_cast<U>(a);
    if (v == 0) return ~0u;
    const auto zeros = static_cast<uint32_t>(std::countl_zero(v));
    return Shift ? zeros : bits<T> - 1 - zeros;
  }
};
template <class T>
struct Reverse {
  static T f(T a) {
    T out = 0;
    for (int i = 0; i < bits<T>; ++i) out = static_cast<T>(out << 1 | ((a >> i) & 1));
    return out;
  }
};

template <class T>
struct ExtractField {
  static T f(T a, uint32_t start, uint32_t length) {
    using U = std::make_unsigned_t<T>;
    start &= 0xFF, length &= 0xFF;
    if (length == 0) return 0;
    const uint32_t top = start + length - 1 < bits<T> - 1u ? start + length - 1 : bits<T> - 1;
    const bool sign = std::is_signed_v<T> && ((U(a) >> top) & 1) != 0;
    U out = start < unsigned(bits<T>) ? U(a) >> start : 0;
    if (length < unsigned(bits<T>)) out &= (U{1} << length) - 1;
    // Above the field's own top bit (which may lie beyond the register) come copies of the sign.
    const uint32_t kept = start < unsigned(bits<T>) ? top - start + 1 : 0;
    if (sign && kept < unsigned(bits<T>)) out |= ~U{0} << kept;
    return static_cast<T>(out);
  }
};
template <class T>
void run_insert_field(Warp& warp, const Instruction& in, Mask mask) {
  const T* a = warp.reg<T>(in.op[1]);
  const T* b = warp.reg<T>(in.op[2]);
  const uint32_t* starts = warp.reg<uint32_t>(in.op[3]);
  const uint32_t* lengths = warp.reg<uint32_t>(in.op[4]);
  alignas(64) T out[kLanes];
  each_lane(mask, [&](int lane) {
    const uint32_t start = starts[lane] & 0xFF, length = lengths[lane] & 0xFF;
    T field = length >= unsigned(bits<T>) ? ~T{0} : static_cast<T>((T{1} << length) - 1);
    field = start >= unsigned(bits<T>) ? 0 : static_cast<T>(field << start);
    const T moved = start >= unsigned(bits<T>) ? 0 : static_cast<T>(a[lane] << start);
    out[lane] = (b[lane] & ~field) | (moved & field);
  });
  keep(warp.reg<T>(in.op[0]), out, mask);
}

uint32_t permuted_byte(uint64_t both, uint32_t selector) {
  const auto byte = static_cast<uint32_t>(both >> (8 * (selector & 7))) & 0xFF;
  if ((selector & 8) == 0) return byte;
  return (byte & 0x80) != 0 ? 0xFF : 0;  // the sign, repeated
}
struct Permute {
  static uint32_t f(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t both = uint64_t{b} << 32 | a;
    uint32_t out = 0;
    for (int i = 0; i < 4; ++i) out |= permuted_byte(both, selector >> (4 * i)) << (8 * i);
    return out;
  }
};
// The other modes choose four selectors from the two low bits of the last operand.
template <const std::array<uint16_t, 4>& Selectors>
struct PermuteMode {
  static uint32_t f(uint32_t a, uint32_t b, uint32_t mode) {
    return Permute::f(a, b, Selectors[mode & 3]);
  }
};
constexpr std::array<uint16_t, 4> kForward4{0x3210, 0x4321, 0x5432, 0x6543};
constexpr std::array<uint16_t, 4> kBackward4{0x5670, 0x6701, 0x7012, 0x0123};
constexpr std::array<uint16_t, 4> kReplicate8{0x0000, 0x1111, 0x2222, 0x3333};
constexpr std::array<uint16_t, 4> kReplicate16{0x1010, 0x3232, 0x1010, 0x3232};

void run_lop3(Warp& warp, const Instruction& in, Mask mask) {
  const uint32_t* a = warp.reg<uint32_t>(in.op[1]);
  const uint32_t* b = warp.reg<uint32_t>(in.op[2]);
  const uint32_t* c = warp.reg<uint32_t>(in.op[3]);
  std::array<uint32_t, 8> table;  // the truth table, a bit of it in every bit
  for (int i = 0; i < 8; ++i) table[i] = ((in.detail >> i) & 1) != 0 ? ~0u : 0;
  alignas(64) uint32_t out[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const uint32_t na = ~a[l], nb = ~b[l], nc = ~c[l];
    out[l] = (table[0] & na & nb & nc) | (table[1] & na & nb & c[l]) | (table[2] & na & b[l] & nc) |
             (table[3] & na & b[l] & c[l]) | (table[4] & a[l] & nb & nc) |
             (table[5] & a[l] & nb & c[l]) | (table[6] & a[l] & b[l] & nc) |
             (table[7] & a[l] & b[l] & c[l]);
  }
  keep(warp.reg<uint32_t>(in.op[0]), out, mask);
}

void build_lop3(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.parts.size() != 2 || in.operands.size() != 5) throw UnknownForm();
  out.op[0] = decoder.destination(in.operands[0], 32);
  for (int i = 1; i < 4; ++i) out.op[i] = decoder.source(in.operands[i], 32);
  if (in.operands[4].kind != PtxOperand::Kind::immediate) throw UnknownForm();
  out.detail = static_cast<uint32_t>(in.operands[4].bits);
  out.run = run_lop3;
}

// Predicates hold a bit a lane.
enum class Logic : uint32_t { land, lor, lxor, lnot };
void run_predicate_logic(Warp& warp, const Instruction& in, Mask mask) {
  const Mask a = warp.predicate(in.op[1]);
  const Mask b = in.op[2] < 0 ? 0 : warp.predicate(in.op[2]);
  Mask out = 0;
  switch (static_cast<Logic>(in.detail)) {
    case Logic::land:
      out = a & b;
      break;
    case Logic::lor:
      out = a | b;
      break;
    case Logic::lxor:
      out = a ^ b;
      break;
    case Logic::lnot:
      out = ~a;
      break;
  }
  keep_bits(warp, in.op[0], out, mask);
}

template <template <class> class Op, Logic Code>
void build_logic(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "pred") {
    set_operands(in, out, decoder, {1, 1, 1});
    out.detail = static_cast<uint32_t>(Code);
    out.run = run_predicate_logic;
    return;
  }
  with_bits(in.type(), [&]<class T>() { set_binary<T, T, T, Op<T>>(in, out, decoder); });
}

void build_not(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "pred") {
    set_operands(in, out, decoder, {1, 1});
    out.detail = static_cast<uint32_t>(Logic::lnot);
    out.run = run_predicate_logic;
    return;
  }
  with_bits(in.type(), [&]<class T>() { set_unary<T, T, Not<T>>(in, out, decoder); });
}

void build_cnot(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_bits(in.type(), [&]<class T>() { set_unary<T, T, LogicalNot<T>>(in, out, decoder); });
}

void build_shl(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_bits(in.type(),
            [&]<class T>() { set_binary<T, T, uint32_t, ShiftLeft<T>>(in, out, decoder); });
}

void build_shr(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const auto set = [&]<class T>() { set_binary<T, T, uint32_t, ShiftRight<T>>(in, out, decoder); };
  if (in.type()[0] == 'b')
    with_bits(in.type(), set);
  else
    with_integer(in.type(), set);
}

void build_shf(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const bool left = in.has("l"), wrap = in.has("wrap");
  using U = uint32_t;
  if (left && wrap)
    set_ternary<U, U, U, U, Funnel<true, true>>(in, out, decoder);
  else if (left)
    set_ternary<U, U, U, U, Funnel<true, false>>(in, out, decoder);
  else if (wrap)
    set_ternary<U, U, U, U, Funnel<false, true>>(in, out, decoder);
  else
    set_ternary<U, U, U, U, Funnel<false, false>>(in, out, decoder);
}

template <template <class> class Op>
void build_count(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_bits(in.type(), [&]<class T>() { set_unary<uint32_t, T, Op<T>>(in, out, decoder); });
}

void build_bfind(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_integer(in.type(), [&]<class T>() {
    if (in.has("shiftamt"))
      set_unary<uint32_t, T, FindHighest<T, true>>(in, out, decoder);
    else
      set_unary<uint32_t, T, FindHighest<T, false>>(in, out, decoder);
  });
}

void build_brev(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_bits(in.type(), [&]<class T>() { set_unary<T, T, Reverse<T>>(in, out, decoder); });
}

void build_bfe(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_integer(in.type(), [&]<class T>() {
    set_ternary<T, T, uint32_t, uint32_t, ExtractField<T>>(in, out, decoder);
  });
}

void build_bfi(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  with_bits(in.type(), [&]<class T>() {
    set_operands(in, out, decoder, {bits<T>, bits<T>, bits<T>, 32, 32});
    out.run = run_insert_field<T>;
  });
}

void build_prmt(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  using U = uint32_t;
  if (in.parts.size() == 2) return set_ternary<U, U, U, U, Permute>(in, out, decoder);
  const std::string& mode = in.parts[2];
  if (mode == "f4e") return set_ternary<U, U, U, U, PermuteMode<kForward4>>(in, out, decoder);
  if (mode == "b4e") return set_ternary<U, U, U, U, PermuteMode<kBackward4>>(in, out, decoder);
  if (mode == "rc8") return set_ternary<U, U, U, U, PermuteMode<kReplicate8>>(in, out, decoder);
  if (mode == "rc16") return set_ternary<U, U, U, U, PermuteMode<kReplicate16>>(in, out, decoder);
  throw UnknownForm();
}

}  // namespace

std::vector<OpcodeEntry> bit_opcodes() {
  return {{"and", build_logic<And, Logic::land>},
          {"or", build_logic<Or, Logic::lor>},
          {"xor", build_logic<Xor, Logic::lxor>},
          {"not", build_not},
          {"cnot", build_cnot},
          {"shl", build_shl},
          {"shr", build_shr},
          {"shf", build_shf},
          {"lop3", build_lop3},
          {"popc", build_count<CountOnes>},
          {"clz", build_count<LeadingZeros>},
          {"bfind", build_bfind},
          {"brev", build_brev},
          {"bfe", build_bfe},
          {"bfi", build_bfi},
          {"prmt", build_prmt}};
}

}  // namespace funnel::cudacpu
