// SPDX-License-Identifier: Apache-2.0
// Arithmetic on f16, bf16 and their pairs: exact, then rounded once.
#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"

namespace funnel::cudacpu {
namespace {

enum class Op { add, sub, mul, fma, div, neg, abs, min, max };
constexpr uint32_t kRelu = 1, kSat = 2, kNan = 4;

Exact compute(Op op, double a, double b, double c) {
  switch (op) {
    case Op::add:
      return exact_sum(a, b);
    case Op::sub:
      return exact_sum(a, -b);
    case Op::mul:
      return {a * b, 0};
    case Op::div:
      return {a / b, 0};
    default:
      return exact_sum(a * b, c);
  }
}

template <class Format>
uint16_t extreme(bool least, uint16_t a, uint16_t b, bool pass_nan) {
  const float x = decode16<Format>(a), y = decode16<Format>(b);
  if (x != x) return pass_nan || y != y ? 0x7FFF : b;
  if (y != y) return pass_nan ? 0x7FFF : a;
  if (x == y) return least ? a | b : a & b;
  return (x < y) == least ? a : b;
}

template <class Format, Op Which>
uint16_t apply(uint16_t a, uint16_t b, uint16_t c, uint32_t flags) {
  if (Which == Op::neg) return a ^ 0x8000;
  if (Which == Op::abs) return a & 0x7FFF;
  if (Which == Op::min || Which == Op::max) {
    return extreme<Format>(Which == Op::min, a, b, (flags & kNan) != 0);
  }
  double value = round_to<Format>(
      compute(Which, decode16<Format>(a), decode16<Format>(b), decode16<Format>(c)),
      Rounding::nearest);
  if ((flags & kRelu) != 0 && value < 0) value = 0;
  if ((flags & kSat) != 0) value = value > 0 ? (value < 1 ? value : 1) : 0;
  return encode16<Format>(value);
}

template <class Format, Op Which, int Count>
void run_half(Warp& warp, const Instruction& in, Mask mask) {
  using T = std::conditional_t<Count == 2, uint32_t, uint16_t>;
  const T* a = warp.reg<T>(in.op[1]);
  const T* b = in.op[2] < 0 ? a : warp.reg<T>(in.op[2]);
  const T* c = in.op[3] < 0 ? a : warp.reg<T>(in.op[3]);
  alignas(64) T out[kLanes];
  each_lane(mask, [&](int l) {
    T word = 0;
    for (int part = 0; part < 16 * Count; part += 16) {
      word = static_cast<T>(word |
                            T{apply<Format, Which>(static_cast<uint16_t>(a[l] >> part),
                                                   static_cast<uint16_t>(b[l] >> part),
                                                   static_cast<uint16_t>(c[l] >> part), in.detail)}
                                << part);
    }
    out[l] = word;
  });
  keep(warp.reg<T>(in.op[0]), out, mask);
}

template <Op Which>
void set_half(const PtxInstruction& in, Instruction& out, Decoder& decoder, size_t operands) {
  const bool pair = in.type().back() == '2', bf16 = in.type()[0] == 'b';
  if (in.operands.size() != operands) throw UnknownForm();
  const int width = pair ? 32 : 16;
  out.op[0] = decoder.destination(in.operands[0], width);
  for (size_t i = 1; i < operands; ++i) out.op[i] = decoder.source(in.operands[i], width);
  out.detail =
      (in.has("relu") ? kRelu : 0) | (in.has("sat") ? kSat : 0) | (in.has("NaN") ? kNan : 0);
  if (in.has("xorsign") || in.has("ftz") || in.has("oob")) throw UnknownForm();
  if (bf16)
    out.run = pair ? run_half<BFloat16, Which, 2> : run_half<BFloat16, Which, 1>;
  else
    out.run = pair ? run_half<Half16, Which, 2> : run_half<Half16, Which, 1>;
}

}  // namespace

void build_half(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const std::string& opcode = in.opcode();
  if (opcode == "add") return set_half<Op::add>(in, out, decoder, 3);
  if (opcode == "sub") return set_half<Op::sub>(in, out, decoder, 3);
  if (opcode == "mul") return set_half<Op::mul>(in, out, decoder, 3);
  if (opcode == "fma") return set_half<Op::fma>(in, out, decoder, 4);
  if (opcode == "neg") return set_half<Op::neg>(in, out, decoder, 2);
  if (opcode == "abs") return set_half<Op::abs>(in, out, decoder, 2);
  if (opcode == "min") return set_half<Op::min>(in, out, decoder, 3);
  if (opcode == "max") return set_half<Op::max>(in, out, decoder, 3);
  throw UnknownForm();
}

}  // namespace funnel::cudacpu
