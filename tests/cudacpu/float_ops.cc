// SPDX-License-Identifier: Apache-2.0
// IEEE arithmetic on f32 and f64 in all rounding modes, with flushing of subnormals (.ftz) and
// saturation (.sat). The plain forms, to nearest, are vectorised.
#include <cfenv>
#include <map>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"

namespace funnel::cudacpu {
namespace {

template <class T>
struct Add {
  static T f(T a, T b) { return a + b; }
};
template <class T>
struct Sub {
  static T f(T a, T b) { return a - b; }
};
template <class T>
struct Mul {
  static T f(T a, T b) { return a * b; }
};
template <class T>
struct Div {
  static T f(T a, T b) { return a / b; }
};
template <class T>
struct Fma {
  static T f(T a, T b, T c) { return std::fma(a, b, c); }
};
template <class T>
struct Sqrt {
  static T f(T a) { return std::sqrt(a); }
};
template <class T>
struct Reciprocal {
  static T f(T a) { return T{1} / a; }
};

template <class T>
struct IntegerOf;
template <>
struct IntegerOf<float> {
  using type = uint32_t;
};
template <>
struct IntegerOf<double> {
  using type = uint64_t;
};
template <class T>
using Bits = typename IntegerOf<T>::type;
template <class T>
constexpr Bits<T> kSign = Bits<T>{1} << (bits<T> - 1);

template <class T>
struct Neg {
  static T f(T a) { return std::bit_cast<T>(std::bit_cast<Bits<T>>(a) ^ kSign<T>); }
};
template <class T>
struct Abs {
  static T f(T a) { return std::bit_cast<T>(std::bit_cast<Bits<T>>(a) & ~kSign<T>); }
};
// copysign.type d, a, b: the sign of a on the size of b.
template <class T>
struct CopySign {
  static T f(T a, T b) {
    return std::bit_cast<T>((std::bit_cast<Bits<T>>(a) & kSign<T>) |
                            (std::bit_cast<Bits<T>>(b) & ~kSign<T>));
  }
};
// A NaN loses against a number; -0 is less than +0.
template <class T>
struct Min {
  static T f(T a, T b) {
    const T zero = std::bit_cast<T>(std::bit_cast<Bits<T>>(a) | std::bit_cast<Bits<T>>(b));
    const T least = a < b ? a : a == b ? zero : b;
    return b != b ? a : least;
  }
};
template <class T>
struct Max {
  static T f(T a, T b) {
    const T zero = std::bit_cast<T>(std::bit_cast<Bits<T>>(a) & std::bit_cast<Bits<T>>(b));
    const T most = a > b ? a : a == b ? zero : b;
    return b != b ? a : most;
  }
};
template <class T, template <class> class Op>
struct PassNan {  // min.NaN, max.NaN
  static T f(T a, T b) { return a != a ? a : b != b ? b : Op<T>::f(a, b); }
};

float flush(float value) {
  return std::fabs(value) < FLT_MIN ? std::copysign(0.0f, value) : value;
}
template <class Op>
struct Flushed {
  template <class... T>
  static float f(T... operands) {
    return flush(Op::f(flush(operands)...));
  }
};
float saturate(float value) {
  return value > 0 ? (value < 1 ? value : 1.0f) : 0.0f;  // NaN becomes 0
}

enum class Op { add, sub, mul, fma, div, sqrt, rcp };

template <Op Which>
Exact exactly(double a, double b, double c) {
  double q;
  switch (Which) {
    case Op::add:
      return exact_sum(a, b);
    case Op::sub:
      return exact_sum(a, -b);
    case Op::mul:
      return {a * b, 0};  // two f32 significands fit
    case Op::fma:
      return exact_sum(a * b, c);
    case Op::div:
      q = a / b;
      return {q, std::isfinite(q) ? std::fma(-q, b, a) / b : 0};
    case Op::rcp:
      q = 1 / a;
      return {q, std::isfinite(q) ? std::fma(-q, a, 1.0) / a : 0};
    case Op::sqrt:
      q = std::sqrt(a);
      return {q, std::isfinite(q) ? std::fma(-q, q, a) : 0};
  }
  return {};
}

constexpr uint32_t kFtz = 1, kSat = 2;

// Any f32 operation in any mode; `detail` holds kFtz and kSat.
template <Op Which, Rounding Mode>
void run_rounded(Warp& warp, const Instruction& in, Mask mask) {
  const float* a = warp.reg<float>(in.op[1]);
  const float* b = in.op[2] < 0 ? a : warp.reg<float>(in.op[2]);
  const float* c = in.op[3] < 0 ? a : warp.reg<float>(in.op[3]);
  const bool ftz = (in.detail & kFtz) != 0, sat = (in.detail & kSat) != 0;
  alignas(64) float out[kLanes];
  each_lane(mask, [&](int l) {
    const Exact exact = ftz ? exactly<Which>(flush(a[l]), flush(b[l]), flush(c[l]))
                            : exactly<Which>(a[l], b[l], c[l]);
    float value = round_to_f32<Mode>(exact);
    if (ftz) value = flush(value);
    out[l] = sat ? saturate(value) : value;
  });
  keep(warp.reg<float>(in.op[0]), out, mask);
}

// f64 in a directed mode. The volatile operands keep the operation between the mode changes.
template <Op Which>
void run_rounded_double(Warp& warp, const Instruction& in, Mask mask) {
  const double* a = warp.reg<double>(in.op[1]);
  const double* b = in.op[2] < 0 ? a : warp.reg<double>(in.op[2]);
  const double* c = in.op[3] < 0 ? a : warp.reg<double>(in.op[3]);
  alignas(64) double out[kLanes];
  std::fesetround(static_cast<int>(in.detail));
  each_lane(mask, [&](int l) {
    const volatile double x = a[l], y = b[l], z = c[l];
    volatile double r = 0;
    switch (Which) {
      case Op::add:
        r = x + y;
        break;
      case Op::sub:
        r = x - y;
        break;
      case Op::mul:
        r = x * y;
        break;
      case Op::fma:
        r = std::fma(double(x), double(y), double(z));
        break;
      case Op::div:
        r = x / y;
        break;
      case Op::sqrt:
        r = std::sqrt(double(x));
        break;
      case Op::rcp:
        r = 1 / x;
        break;
    }
    out[l] = r;
  });
  std::fesetround(FE_TONEAREST);
  keep(warp.reg<double>(in.op[0]), out, mask);
}

Rounding mode_of(const PtxInstruction& in) {
  if (in.has("rz")) return Rounding::zero;
  if (in.has("rm")) return Rounding::down;
  if (in.has("rp")) return Rounding::up;
  return Rounding::nearest;
}

template <Op Which>
void set_rounded(const PtxInstruction& in, Instruction& out, Decoder& decoder, size_t operands) {
  const int width = in.type() == "f64" ? 64 : 32;
  if (in.operands.size() != operands) throw UnknownForm();
  out.op[0] = decoder.destination(in.operands[0], width);
  for (size_t i = 1; i < operands; ++i) out.op[i] = decoder.source(in.operands[i], width);
  const Rounding mode = mode_of(in);
  if (width == 64) {
    constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    out.detail = static_cast<uint32_t>(kModes[static_cast<int>(mode)]);
    out.run = run_rounded_double<Which>;
    return;
  }
  out.detail = (in.has("ftz") ? kFtz : 0) | (in.has("sat") ? kSat : 0);
  constexpr Handler kHandlers[] = {
      run_rounded<Which, Rounding::nearest>, run_rounded<Which, Rounding::zero>,
      run_rounded<Which, Rounding::down>, run_rounded<Which, Rounding::up>};
  out.run = kHandlers[static_cast<int>(mode)];
}

bool is_plain(const PtxInstruction& in) {
  return mode_of(in) == Rounding::nearest && !in.has("sat") && !in.has("ftz");
}

template <Op Which, template <class> class Plain>
void set_one(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!is_plain(in)) return set_rounded<Which>(in, out, decoder, 2);
  if (in.type() == "f64") return set_unary<double, double, Plain<double>>(in, out, decoder);
  set_unary<float, float, Plain<float>>(in, out, decoder);
}
template <Op Which, template <class> class Plain>
void set_two(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "f64" && is_plain(in)) {
    return set_binary<double, double, double, Plain<double>>(in, out, decoder);
  }
  if (is_plain(in)) return set_binary<float, float, float, Plain<float>>(in, out, decoder);
  const bool flushes = mode_of(in) == Rounding::nearest && in.has("ftz") && !in.has("sat");
  if (flushes) return set_binary<float, float, float, Flushed<Plain<float>>>(in, out, decoder);
  set_rounded<Which>(in, out, decoder, 3);
}
void set_fma(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!is_plain(in)) return set_rounded<Op::fma>(in, out, decoder, 4);
  if (in.type() == "f64")
    set_ternary<double, double, double, double, Fma<double>>(in, out, decoder);
  else
    set_ternary<float, float, float, float, Fma<float>>(in, out, decoder);
}

template <template <class> class Plain>
void set_sign(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "f64") return set_unary<double, double, Plain<double>>(in, out, decoder);
  if (in.has("ftz")) return set_unary<float, float, Flushed<Plain<float>>>(in, out, decoder);
  set_unary<float, float, Plain<float>>(in, out, decoder);
}
template <template <class> class Plain>
void set_extreme(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.has("xorsign") || in.operands.size() != 3) throw UnknownForm();
  if (in.type() == "f64") {
    return set_binary<double, double, double, Plain<double>>(in, out, decoder);
  }
  if (in.has("NaN"))
    set_binary<float, float, float, PassNan<float, Plain>>(in, out, decoder);
  else if (in.has("ftz"))
    set_binary<float, float, float, Flushed<Plain<float>>>(in, out, decoder);
  else
    set_binary<float, float, float, Plain<float>>(in, out, decoder);
}

void build_copysign(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (in.type() == "f64")
    set_binary<double, double, double, CopySign<double>>(in, out, decoder);
  else
    set_binary<float, float, float, CopySign<float>>(in, out, decoder);
}

void build_fma(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (is_half(in)) return build_half(in, out, decoder);
  build_float(in, out, decoder);
}

}  // namespace

void build_float(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!is_float(in)) throw UnknownForm();
  const std::string& opcode = in.opcode();
  // div.approx and div.full are within 2 ulp on a device and exactly rounded here.
  if (opcode == "add") return set_two<Op::add, Add>(in, out, decoder);
  if (opcode == "sub") return set_two<Op::sub, Sub>(in, out, decoder);
  if (opcode == "mul") return set_two<Op::mul, Mul>(in, out, decoder);
  if (opcode == "div") return set_two<Op::div, Div>(in, out, decoder);
  if (opcode == "fma" || opcode == "mad") return set_fma(in, out, decoder);
  if (opcode == "sqrt") return set_one<Op::sqrt, Sqrt>(in, out, decoder);
  if (opcode == "rcp") return set_one<Op::rcp, Reciprocal>(in, out, decoder);
  if (opcode == "neg") return set_sign<Neg>(in, out, decoder);
  if (opcode == "abs") return set_sign<Abs>(in, out, decoder);
  if (opcode == "min") return set_extreme<Min>(in, out, decoder);
  if (opcode == "max") return set_extreme<Max>(in, out, decoder);
  throw UnknownForm();
}

std::vector<OpcodeEntry> float_opcodes() {
  return {{"fma", build_fma},
          {"sqrt", build_float},
          {"rcp", build_float},
          {"copysign", build_copysign}};
}

}  // namespace funnel::cudacpu
