// SPDX-License-Identifier: Apache-2.0
// ex2, lg2, rsqrt, sin, cos, tanh: approximate on a device, here as exact as the C library is (half
// an ulp and a little more).
#include <cmath>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/formats.h"

namespace funnel::cudacpu {
namespace {

struct Exp2 {
  static float f(float a) { return std::exp2(a); }
};
struct Log2 {
  static float f(float a) { return std::log2(a); }
};
struct Rsqrt {
  static float f(float a) { return static_cast<float>(1.0 / std::sqrt(double{a})); }
};
struct Sin {
  static float f(float a) { return std::sin(a); }
};
struct Cos {
  static float f(float a) { return std::cos(a); }
};
struct Tanh {
  static float f(float a) { return static_cast<float>(std::tanh(double{a})); }
};
struct RsqrtDouble {
  static double f(double a) { return 1.0 / std::sqrt(a); }
};

// Library calls a lane cost more than the loop: only the lanes of the mask.
template <class Op, bool Flush>
void run_approximate(Warp& warp, const Instruction& in, Mask mask) {
  const auto flush = [](float v) { return std::fabs(v) < FLT_MIN ? std::copysign(0.0f, v) : v; };
  const float* a = warp.reg<float>(in.op[1]);
  alignas(64) float out[kLanes];
  each_lane(mask, [&](int l) { out[l] = Flush ? flush(Op::f(flush(a[l]))) : Op::f(a[l]); });
  keep(warp.reg<float>(in.op[0]), out, mask);
}

template <class Op, class Format, int Count>
void run_approximate_half(Warp& warp, const Instruction& in, Mask mask) {
  using T = std::conditional_t<Count == 2, uint32_t, uint16_t>;
  const T* a = warp.reg<T>(in.op[1]);
  alignas(64) T out[kLanes];
  each_lane(mask, [&](int l) {
    out[l] = 0;
    for (int part = 0; part < Count; ++part) {
      const float x = decode16<Format>(static_cast<uint16_t>(a[l] >> (16 * part)));
      out[l] = static_cast<T>(out[l] | T{round16<Format>({Op::f(x), 0}, Rounding::nearest)}
                                           << (16 * part));
    }
  });
  keep(warp.reg<T>(in.op[0]), out, mask);
}

template <class Op>
void build_approximate(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const std::string& type = in.type();
  const int width = type == "f32" || type == "f16x2" || type == "bf16x2" ? 32 : 16;
  if (type == "f64" && in.opcode() == "rsqrt") {
    return set_unary<double, double, RsqrtDouble>(in, out, decoder);
  }
  set_operands(in, out, decoder, {width, width});
  if (type == "f32")
    out.run = in.has("ftz") ? run_approximate<Op, true> : run_approximate<Op, false>;
  else if (type == "f16")
    out.run = run_approximate_half<Op, Half16, 1>;
  else if (type == "f16x2")
    out.run = run_approximate_half<Op, Half16, 2>;
  else if (type == "bf16")
    out.run = run_approximate_half<Op, BFloat16, 1>;
  else if (type == "bf16x2")
    out.run = run_approximate_half<Op, BFloat16, 2>;
  else
    throw UnknownForm();
}

}  // namespace

std::vector<OpcodeEntry> approximate_opcodes() {
  return {{"ex2", build_approximate<Exp2>},    {"lg2", build_approximate<Log2>},
          {"rsqrt", build_approximate<Rsqrt>}, {"sin", build_approximate<Sin>},
          {"cos", build_approximate<Cos>},     {"tanh", build_approximate<Tanh>}};
}

}  // namespace funnel::cudacpu
