// SPDX-License-Identifier: Apache-2.0
// Primitives that each thread runs for itself: rounding, IEEE arithmetic, powers of 2, library
// functions, the engine's own element math, Philox.
#include "core/base/math.h"
#include "core/ops/fused_attention/tiles.cuh"
#include "tests/conformance/device_array.h"
#include "tests/conformance/inputs.h"

namespace funnel::conformance {
namespace {

template <class F, class In, class Out>
__global__ void each(const In* in, Out* out) {
  const int i = static_cast<int>(threadIdx.x);
  out[i] = F::run(in[i], in[second(i)], in[third(i)]);
}

template <class F, class Out, class In>
Section run(const std::string& name, Format format, const std::vector<In>& values) {
  const DeviceArray<In> in(values);
  const DeviceArray<Out> out(values.size());
  each<F><<<1, kValues>>>(in.data(), out.data());
  return out.section(name, format);
}

struct RoundToBf16 {
  static __device__ uint16_t run(float a, float, float) { return BFloat16(a).bits; }
};
struct RoundPairToBf16 {
  static __device__ uint32_t run(float a, float b, float) { return fused::pack(a, b); }
};
struct WidenBf16 {
  static __device__ float run(float a, float, float) {
    BFloat16 upper;
    upper.bits = static_cast<uint16_t>(__float_as_uint(a) >> 16);
    return upper;
  }
};
struct WidenLow {
  static __device__ float run(float a, float, float) { return fused::low_of(__float_as_uint(a)); }
};
struct WidenHigh {
  static __device__ float run(float a, float, float) { return fused::high_of(__float_as_uint(a)); }
};
struct RoundPairToHalf {
  static __device__ uint32_t run(float a, float b, float) {
    const __half2 pair = __floats2half2_rn(a, b);
    return uint32_t{__half_as_ushort(__high2half(pair))} << 16 | __half_as_ushort(__low2half(pair));
  }
};
struct WidenHalf {
  static __device__ float run(float a, float, float) {
    return __half2float(__ushort_as_half(static_cast<uint16_t>(__float_as_uint(a) >> 16)));
  }
};
template <class T>
struct FloatTo {
  static __device__ T run(float a, float, float) { return static_cast<T>(a); }
};
template <class T>
struct IntegerToDouble {
  static __device__ double run(int64_t a, int64_t, int64_t) {
    return static_cast<double>(static_cast<T>(a));
  }
};
struct DoubleToFloat {
  static __device__ float run(double a, double, double) { return static_cast<float>(a); }
};
struct IntegerToFloat {
  static __device__ float run(int64_t a, int64_t, int64_t) { return static_cast<float>(a); }
};
struct SmallIntegerToFloat {
  static __device__ float run(int64_t a, int64_t, int64_t) {
    return static_cast<float>(static_cast<int32_t>(a));
  }
};
struct UnsignedToFloat {
  static __device__ float run(int64_t a, int64_t, int64_t) {
    return static_cast<float>(static_cast<uint32_t>(a));
  }
};

template <class T>
struct Fma {
  static __device__ T run(T a, T b, T c) { return ::fma(a, b, c); }
};
template <class T>
struct Divide {
  static __device__ T run(T a, T b, T) { return a / b; }
};
template <class T>
struct Reciprocal {
  static __device__ T run(T a, T, T) { return T(1) / a; }
};
template <class T>
struct SquareRoot {
  static __device__ T run(T a, T, T) { return ::sqrt(::fabs(a)); }
};
struct Maximum {
  static __device__ float run(float a, float b, float) { return fmaxf(a, b); }
};
struct Minimum {
  static __device__ float run(float a, float b, float) { return fminf(a, b); }
};
struct HighProduct {
  static __device__ uint32_t run(int64_t a, int64_t b, int64_t) {
    return __umulhi(static_cast<uint32_t>(a), static_cast<uint32_t>(b));
  }
};

struct FunnelShift {
  static __device__ uint32_t run(int64_t a, int64_t b, int64_t c) {
    return __funnelshift_r(static_cast<uint32_t>(a), static_cast<uint32_t>(b),
                           static_cast<uint32_t>(c));
  }
};

struct Exp2 {
  static __device__ float run(float a, float, float) { return ptx::exp2_approximate(a); }
};

template <class T>
struct Exp {
  static __device__ T run(T a, T, T) { return math::exp(a); }
};
template <class T>
struct Log {
  static __device__ T run(T a, T, T) { return math::log(a); }
};
template <class T>
struct Tanh {
  static __device__ T run(T a, T, T) { return math::tanh(a); }
};

__global__ void philox(const uint64_t* words, uint32_t* out) {
  RandomStream stream;
  stream.key = words[3 * threadIdx.x + 2];
  stream.step = words[3 * threadIdx.x + 1];
  const RandomBits bits = stream.bits(words[3 * threadIdx.x]);
  for (int i = 0; i < 4; ++i) out[4 * threadIdx.x + i] = bits.word[i];
}

// The three vectors that the Random123 library publishes for philox4x32-10.
Section run_philox() {
  const DeviceArray<uint64_t> in(std::vector<uint64_t>{0, 0, 0, ~uint64_t{0}, ~uint64_t{0},
                                                       ~uint64_t{0}, 0x85a308d3243f6a88u,
                                                       0x0370734413198a2eu, 0x299f31d0a4093822u});
  const DeviceArray<uint32_t> out(12);
  philox<<<1, 3>>>(in.data(), out.data());
  return out.section("philox4x32-10", Format::bits32);
}

std::vector<double> doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<Section> run_arithmetic() {
  const std::vector<float> floats = awkward_floats();
  const std::vector<double> wide = awkward_doubles();
  const std::vector<int64_t> integers = awkward_integers();
  const std::vector<float> powers = floats_between(-20, 20, 4);
  const std::vector<float> positive = floats_between(2, 1000, 5);
  const Format f32 = Format::f32, f64 = Format::f64;
  return {run<RoundToBf16, uint16_t>("bf16 from f32", Format::bits16, floats),
          run<RoundPairToBf16, uint32_t>("bf16x2 from f32", Format::bits32, floats),
          run<WidenBf16, float>("f32 from bf16", f32, floats),
          run<WidenLow, float>("f32 from the low bf16", f32, floats),
          run<WidenHigh, float>("f32 from the high bf16", f32, floats),
          run<RoundPairToHalf, uint32_t>("f16x2 from f32", Format::bits32, floats),
          run<WidenHalf, float>("f32 from f16", f32, floats),
          run<DoubleToFloat, float>("f32 from f64", f32, wide),
          run<IntegerToFloat, float>("f32 from s64", f32, integers),
          run<SmallIntegerToFloat, float>("f32 from s32", f32, integers),
          run<UnsignedToFloat, float>("f32 from u32", f32, integers),
          run<FloatTo<int32_t>, int32_t>("s32 from f32", Format::bits32, floats),
          run<FloatTo<double>, double>("f64 from f32", f64, floats),
          run<IntegerToDouble<int64_t>, double>("f64 from s64", f64, integers),
          run<IntegerToDouble<uint64_t>, double>("f64 from u64", f64, integers),
          run<Fma<float>, float>("fma f32", f32, floats),
          run<Fma<double>, double>("fma f64", f64, wide),
          run<Divide<float>, float>("div f32", f32, floats),
          run<Divide<double>, double>("div f64", f64, wide),
          run<Reciprocal<float>, float>("rcp f32", f32, floats),
          run<Reciprocal<double>, double>("rcp f64", f64, wide),
          run<SquareRoot<float>, float>("sqrt f32", f32, floats),
          run<SquareRoot<double>, double>("sqrt f64", f64, wide),
          run<Maximum, float>("max f32", f32, floats),
          run<Minimum, float>("min f32", f32, floats),
          run<HighProduct, uint32_t>("mul.hi u32", Format::bits32, integers),
          run<FunnelShift, uint32_t>("funnel shift", Format::bits32, integers),
          run_philox(),
          run<Exp2, float>("ex2.approx", f32, powers),
          run<Exp2, float>("ex2.approx specials", f32, special_powers()),
          run<Exp<float>, float>("math::exp f32", f32, powers),
          run<Log<float>, float>("math::log f32", f32, positive),
          run<Tanh<float>, float>("math::tanh f32", f32, powers),
          run<Exp<double>, double>("math::exp f64", f64, doubles(powers)),
          run<Log<double>, double>("math::log f64", f64, doubles(positive)),
          run<Tanh<double>, double>("math::tanh f64", f64, doubles(powers))};
}

}  // namespace funnel::conformance
