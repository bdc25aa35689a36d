// SPDX-License-Identifier: Apache-2.0
// Shared by the files of arithmetic: from a PTX type to a C++ type, and instructions whose operands
// are all registers of known types.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/lanes.h"

namespace funnel::cudacpu {

template <class T>
inline constexpr int bits = static_cast<int>(8 * sizeof(T));

// Calls f<T>() with the C++ type of an integer type; throws UnknownForm for others.
template <class F>
void with_integer(const std::string& type, F f) {
  if (type == "u32") return f.template operator()<uint32_t>();
  if (type == "s32") return f.template operator()<int32_t>();
  if (type == "u64") return f.template operator()<uint64_t>();
  if (type == "s64") return f.template operator()<int64_t>();
  if (type == "u16") return f.template operator()<uint16_t>();
  if (type == "s16") return f.template operator()<int16_t>();
  throw UnknownForm();
}

// Calls f<T>() with the unsigned type of a .b16, .b32 or .b64; throws UnknownForm for others.
template <class F>
void with_bits(const std::string& type, F f) {
  if (type == "b32") return f.template operator()<uint32_t>();
  if (type == "b64") return f.template operator()<uint64_t>();
  if (type == "b16") return f.template operator()<uint16_t>();
  throw UnknownForm();
}

// op[0] is the destination, the rest are sources, of the given bits. Exactly that many operands.
inline void set_operands(const PtxInstruction& in, Instruction& out, Decoder& decoder,
                         std::initializer_list<int> widths) {
  if (in.operands.size() != widths.size()) throw UnknownForm();
  int at = 0;
  for (const int width : widths) {
    out.op[at] = at == 0 ? decoder.destination(in.operands[0], width)
                         : decoder.source(in.operands[at], width);
    ++at;
  }
}

template <class D, class A, class Op>
void set_unary(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  set_operands(in, out, decoder, {bits<D>, bits<A>});
  out.run = unary<D, A, Op>;
}
template <class D, class A, class B, class Op>
void set_binary(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  set_operands(in, out, decoder, {bits<D>, bits<A>, bits<B>});
  out.run = binary<D, A, B, Op>;
}
template <class D, class A, class B, class C, class Op>
void set_ternary(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  set_operands(in, out, decoder, {bits<D>, bits<A>, bits<B>, bits<C>});
  out.run = ternary<D, A, B, C, Op>;
}

// Opcodes that integers, floats and halves share are handed on by their type.
inline bool is_float(const PtxInstruction& in) {
  return in.type() == "f32" || in.type() == "f64";
}
inline bool is_half(const PtxInstruction& in) {
  return in.type() == "f16" || in.type() == "f16x2" || in.type() == "bf16" || in.type() == "bf16x2";
}
void build_float(const PtxInstruction& in, Instruction& out, Decoder& decoder);  // f32, f64
void build_half(const PtxInstruction& in, Instruction& out, Decoder& decoder);   // f16, bf16, x2

}  // namespace funnel::cudacpu
