// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/expectations.h"

#include <cmath>
#include <cstdio>

#include "core/base/error.h"
#include "tests/conformance/inputs.h"

namespace funnel::conformance {
namespace {

// Rounds to the nearest bf16, ties to even, on the bits; NaN becomes the canonical one.
uint64_t rounded_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return 0x7fff;
  const uint32_t kept = bits >> 16, rest = bits & 0xffff;
  const bool up = rest > 0x8000 || (rest == 0x8000 && (kept & 1) != 0);
  return kept + (up ? 1 : 0);
}

uint64_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value);
}
uint64_t bits_of(double value) {
  return std::bit_cast<uint64_t>(value);
}
uint64_t bits_of(uint64_t value) {
  return value;
}

// f(i) for every input.
template <class F>
Expectation exactly(F f) {
  Expectation out{.bits = {}, .values = {}, .errors = {}, .allowed = "exact"};
  for (int i = 0; i < kValues; ++i) out.bits.push_back(bits_of(f(i)));
  return out;
}

// f of every input, to so many units in the last place of a float (of a double for double inputs).
template <class T, class F>
Expectation nearly(const std::vector<T>& inputs, double units, F f) {
  Expectation out{
      .bits = {}, .values = {}, .errors = {}, .allowed = concat(units, " units in the last place")};
  constexpr int kDigits = sizeof(T) == 4 ? 23 : 52;
  for (const T input : inputs) {
    const auto value = static_cast<double>(f(static_cast<long double>(input)));
    out.values.push_back(value);
    out.errors.push_back(units * std::ldexp(1.0, std::ilogb(value) - kDigits));
  }
  return out;
}

Expectation philox_vectors() {
  return {.bits = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8, 0x408f276d, 0x41c83b0e,
                   0xa20bc7c6, 0x6d5451fd, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
          .values = {},
          .errors = {},
          .allowed = "exact"};
}

float larger(float a, float b) {
  if (std::isnan(a)) return b;
  return std::isnan(b) || a >= b ? a : b;
}
float smaller(float a, float b) {
  if (std::isnan(a)) return b;
  return std::isnan(b) || a <= b ? a : b;
}

uint64_t truncated(float value) {
  if (std::isnan(value)) return 0;
  const double whole = std::trunc(double{value});
  const double held = whole < INT32_MIN ? INT32_MIN : whole > INT32_MAX ? INT32_MAX : whole;
  return static_cast<uint32_t>(static_cast<int32_t>(held));
}

// IEEE's half precision, by the host's compiler; NaN becomes the canonical one.
uint64_t rounded_to_half(float value) {
  if (std::isnan(value)) return 0x7fff;
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}
float upper_half(float value) {
  const auto upper = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  return static_cast<float>(std::bit_cast<_Float16>(upper));
}

// Subnormal powers count as 0, and subnormal exponents as well.
float flushed_power(float exponent) {
  const float power = std::exp2(exponent);
  return power < 0x1p-126f ? 0.0f : power;
}

bool agree(Format format, uint64_t a, uint64_t b) {
  if (a == b) return true;
  const bool number = format == Format::f32 || format == Format::f64;
  return number && std::isnan(value_of(format, a)) && std::isnan(value_of(format, b));
}

}  // namespace

std::map<std::string, Expectation> arithmetic_expectations() {
  const std::vector<float> x = awkward_floats();
  const std::vector<double> w = awkward_doubles();
  const std::vector<int64_t> n = awkward_integers();
  const std::vector<float> powers = floats_between(-20, 20, 4);
  const std::vector<float> positive = floats_between(2, 1000, 5);
  const std::vector<double> wide_powers(powers.begin(), powers.end());
  const std::vector<double> wide_positive(positive.begin(), positive.end());
  const auto exp = [](long double v) { return std::exp(v); };
  const auto log = [](long double v) { return std::log(v); };
  const auto tanh = [](long double v) { return std::tanh(v); };
  return {
      {"bf16 from f32", exactly([&](int i) { return rounded_to_bf16(x[i]); })},
      {"bf16x2 from f32",
       exactly([&](int i) { return rounded_to_bf16(x[second(i)]) << 16 | rounded_to_bf16(x[i]); })},
      {"f32 from bf16", exactly([&](int i) {
         return std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) & 0xffff0000u);
       })},
      {"f32 from the low bf16",
       exactly([&](int i) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) << 16); })},
      {"f32 from the high bf16", exactly([&](int i) {
         return std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) & 0xffff0000u);
       })},
      {"f16x2 from f32",
       exactly([&](int i) { return rounded_to_half(x[second(i)]) << 16 | rounded_to_half(x[i]); })},
      {"f32 from f16", exactly([&](int i) { return upper_half(x[i]); })},
      {"f32 from f64", exactly([&](int i) { return static_cast<float>(w[i]); })},
      {"f32 from s64", exactly([&](int i) { return static_cast<float>(n[i]); })},
      {"f32 from s32",
       exactly([&](int i) { return static_cast<float>(static_cast<int32_t>(n[i])); })},
      {"f32 from u32",
       exactly([&](int i) { return static_cast<float>(static_cast<uint32_t>(n[i])); })},
      {"s32 from f32", exactly([&](int i) { return truncated(x[i]); })},
      {"f64 from f32", exactly([&](int i) { return double{x[i]}; })},
      {"f64 from s64", exactly([&](int i) { return static_cast<double>(n[i]); })},
      {"f64 from u64",
       exactly([&](int i) { return static_cast<double>(static_cast<uint64_t>(n[i])); })},
      {"fma f32", exactly([&](int i) { return std::fma(x[i], x[second(i)], x[third(i)]); })},
      {"fma f64", exactly([&](int i) { return std::fma(w[i], w[second(i)], w[third(i)]); })},
      {"div f32", exactly([&](int i) { return x[i] / x[second(i)]; })},
      {"div f64", exactly([&](int i) { return w[i] / w[second(i)]; })},
      {"rcp f32", exactly([&](int i) { return 1 / x[i]; })},
      {"rcp f64", exactly([&](int i) { return 1 / w[i]; })},
      {"sqrt f32", exactly([&](int i) { return std::sqrt(std::fabs(x[i])); })},
      {"sqrt f64", exactly([&](int i) { return std::sqrt(std::fabs(w[i])); })},
      {"max f32", exactly([&](int i) { return larger(x[i], x[second(i)]); })},
      {"min f32", exactly([&](int i) { return smaller(x[i], x[second(i)]); })},
      {"mul.hi u32", exactly([&](int i) {
         const uint64_t a = static_cast<uint32_t>(n[i]), b = static_cast<uint32_t>(n[second(i)]);
         return a * b >> 32;
       })},
      {"funnel shift", exactly([&](int i) {
         const uint64_t both =
             static_cast<uint64_t>(n[second(i)]) << 32 | static_cast<uint32_t>(n[i]);
         return both >> (n[third(i)] & 31) & 0xffffffffu;
       })},
      {"philox4x32-10", philox_vectors()},
      {"ex2.approx", nearly(powers, 2.5, [](long double v) { return std::exp2(v); })},
      {"ex2.approx specials",
       exactly([specials = special_powers()](int i) { return flushed_power(specials[i]); })},
      {"math::exp f32", nearly(powers, 2.0, exp)},
      {"math::log f32", nearly(positive, 2.0, log)},
      {"math::tanh f32", nearly(powers, 3.0, tanh)},
      {"math::exp f64", nearly(wide_powers, 1.5, exp)},
      {"math::log f64", nearly(wide_positive, 1.5, log)},
      {"math::tanh f64", nearly(wide_powers, 2.5, tanh)}};
}

std::map<std::string, Expectation> expectations() {
  std::map<std::string, Expectation> all = arithmetic_expectations();
  all.merge(warp_expectations());
  return all;
}

double value_of(Format format, uint64_t bits) {
  if (format == Format::f32) return std::bit_cast<float>(static_cast<uint32_t>(bits));
  if (format == Format::f64) return std::bit_cast<double>(bits);
  return static_cast<double>(bits);
}

Verdict judge(const Section& section, const Expectation& expected) {
  const bool exact = !expected.bits.empty();
  const size_t count = exact ? expected.bits.size() : expected.values.size();
  FUNNEL_CHECK(section.bits.size() == count, section.name, ": expected ", count, " values, found ",
               section.bits.size());
  Verdict verdict;
  for (size_t i = 0; i < count; ++i) {
    const double found = value_of(section.format, section.bits[i]);
    const double wanted = exact ? value_of(section.format, expected.bits[i]) : expected.values[i];
    bool right = exact && agree(section.format, section.bits[i], expected.bits[i]);
    if (!exact) {
      const double error = std::fabs(found - wanted) / expected.errors[i];
      right = error <= 1;
      verdict.largest = std::isnan(error) ? error : std::max(verdict.largest, error);
    }
    if (right) continue;
    char text[160];
    std::snprintf(text, sizeof(text), "value %zu: found %.17g (%llx), expected %.17g", i, found,
                  static_cast<unsigned long long>(section.bits[i]), wanted);
    if (++verdict.wrong == 1) verdict.first = text;
  }
  return verdict;
}

}  // namespace funnel::conformance
