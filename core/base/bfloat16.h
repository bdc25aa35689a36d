// SPDX-License-Identifier: Apache-2.0
// A float cut to its upper 16 bits, for storage: nobody computes in it. Reading gives the exact
// float; writing rounds to the nearest, ties to even. NaN stays NaN (0x7fff, as a device makes it),
// and what lies above the largest becomes infinity. Host and device round alike.
#pragma once

#include <bit>
#include <cstdint>

#include "core/base/host_device.h"

namespace funnel {

struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  FUNNEL_HD explicit BFloat16(float value) : bits(rounded(value)) {}

  FUNNEL_HD operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }

  // So that a body writes `y[i] = …` whatever the type of y; a value that is made says BFloat16.
  FUNNEL_HD BFloat16& operator=(float value) {
    bits = rounded(value);
    return *this;
  }
  FUNNEL_HD BFloat16& operator+=(float value) { return *this = float(*this) + value; }

 private:
  FUNNEL_HD static uint16_t rounded(float value) {
#ifdef __CUDA_ARCH__
    // One instruction, which math on the bits would not become; tests/conformance holds it to
    // the host's form below.
    return ptx::round_to_bf16(value);
#else
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const uint32_t up = word + 0x7fffu + (word >> 16 & 1u);
    return static_cast<uint16_t>(value == value ? up >> 16 : 0x7fffu);
#endif
  }
};
static_assert(sizeof(BFloat16) == 2);

}  // namespace funnel
