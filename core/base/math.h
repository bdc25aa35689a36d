// SPDX-License-Identifier: Apache-2.0
// Element math for op bodies, on host and device. exp, log and tanh on float are polynomials
// written so that a compiler vectorises a loop over them, and so that a value never depends on its
// position in the loop (a library's vector and scalar versions differ in their last bits).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"

namespace funnel::math {

FUNNEL_HD inline float sqrt(float x) {
  return ::sqrtf(x);
}
FUNNEL_HD inline double sqrt(double x) {
  return ::sqrt(x);
}
FUNNEL_HD inline double exp(double x) {
  return ::exp(x);
}
FUNNEL_HD inline double log(double x) {
  return ::log(x);
}
FUNNEL_HD inline double tanh(double x) {
  return ::tanh(x);
}

FUNNEL_HD inline bool is_finite(double x) {
  return x - x == 0.0;
}

// e^x to 1 ulp. Below -86.64 the result is 0 (no subnormals), above 88.72 infinity, NaN stays NaN.
// Cody-Waite reduction x = n ln 2 + r, then a degree-6 minimax polynomial for e^r.
FUNNEL_HD inline float exp(float x) {
  // Adding 1.5 * 2^23 + 126 leaves n + 126 in the low bits: the exponent field of 2^(n - 1).
  const float shifted = x * 1.44269504f + 12583038.0f;
  const float n = shifted - 12583038.0f;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.37805939e-3f;
  p = p * r + 8.37312452e-3f;
  p = p * r + 4.16695364e-2f;
  p = p * r + 1.66664720e-1f;
  p = p * r + 4.99999851e-1f;
  p = (p * r) * r + r + 1.0f;
  const float y = (p + p) * std::bit_cast<float>(std::bit_cast<uint32_t>(shifted) << 23);
  const float high = x > 89.0f ? HUGE_VALF : y;
  return x < -86.64f ? 0.0f : high;
}

// ln(x) to about 1 ulp for a positive normal number. With x = 2^n (1 + f) and 1 + f in [sqrt(1/2),
// sqrt(2)): n ln 2 + f - f^2/2 + f^3 p(f), p of degree 8.
FUNNEL_HD inline float log_of_normal(float x) {
  // Subtracting sqrt(1/2)'s bits moves the border between exponents there.
  const int32_t bits = static_cast<int32_t>(std::bit_cast<uint32_t>(x) - 0x3f3504f3u);
  const float n = static_cast<float>(bits >> 23);
  const float f = std::bit_cast<float>((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  float p = 6.746640801e-2f;
  p = p * f - 1.167565212e-1f;
  p = p * f + 1.188816205e-1f;
  p = p * f - 1.240558922e-1f;
  p = p * f + 1.421955228e-1f;
  p = p * f - 1.666799635e-1f;
  p = p * f + 2.000211924e-1f;
  p = p * f - 2.500000894e-1f;
  p = p * f + 3.333331347e-1f;
  const float s = f * f;
  return n * 0.693145752f + (f + (n * 1.42860677e-6f + (p * f * s - 0.5f * s)));
}

// ln(x): -infinity at 0, NaN below, infinity at infinity.
FUNNEL_HD inline float log(float x) {
  const bool subnormal = x < 0x1p-126f;
  const float y = log_of_normal(subnormal ? x * 0x1p23f : x) - (subnormal ? 15.9423847f : 0.0f);
  const float positive = x > 3.40282347e38f ? HUGE_VALF : y;
  const float other = x == 0.0f ? -HUGE_VALF : std::bit_cast<float>(0x7fc00000);
  return x > 0.0f ? positive : other;
}

// tanh(x) to about 2 ulp: an odd polynomial below 0.625, (1 - e) / (1 + e) with e = e^(-2|x|)
// above.
FUNNEL_HD inline float tanh(float x) {
  const float a = x < 0 ? -x : x;
  const float e = exp(-2.0f * a);
  const float far = (1.0f - e) / (1.0f + e);
  const float s = a * a;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const float near = p * s * a + a;
  const float y = a < 0.625f ? near : far;
  return x < 0 ? -y : y;
}

// sqrt(2 / pi) and the cubic coefficient of the tanh form of GELU (reference-wide: "gelu_new").
inline constexpr double kGeluScale = 0.79788456080286535588;
inline constexpr double kGeluCubic = 0.044715;

// gelu(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)),   u = c (x + a x^3)
template <class T>
FUNNEL_HD T gelu(T x) {
  const T e = exp(x * (T(-2 * kGeluScale) + T(-2 * kGeluScale * kGeluCubic) * x * x));
  return x / (T(1) + e);
}

// d gelu / dx = s (1 + x (1 - s) 2u'),   s = 1 / (1 + e^(-2u)),   u' = c (1 + 3 a x^2)
template <class T>
FUNNEL_HD T gelu_gradient(T x) {
  const T e = exp(x * (T(-2 * kGeluScale) + T(-2 * kGeluScale * kGeluCubic) * x * x));
  const T s = T(1) / (T(1) + e);
  const T twice_du = T(2 * kGeluScale) + T(6 * kGeluScale * kGeluCubic) * x * x;
  const T gradient = s + x * s * (e * s) * twice_du;
  // Beyond 9 the gradient is 0 or 1 to 26 digits, and its parts overflow.
  const T high = x > T(9) ? T(1) : gradient;
  return x < T(-9) ? T(0) : high;
}

// log(1 + e^-|z|), the stable part of the binary cross-entropy.
template <class T>
FUNNEL_HD T log1p_exp_minus_abs(T z) {
  const T e = exp(z < 0 ? z : -z);
  const T w = T(1) + e;
  return log(w) + (e - (w - T(1))) / w;  // the second term is what rounding 1 + e has lost
}

template <class T>
FUNNEL_HD T sigmoid(T z) {
  const T e = exp(z < 0 ? z : -z);
  return z < 0 ? e / (T(1) + e) : T(1) / (T(1) + e);
}

}  // namespace funnel::math
