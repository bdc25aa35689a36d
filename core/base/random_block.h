// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10 for a run of consecutive counters at once: the same words as RandomStream::bits,
// several times faster. For op bodies that draw for whole rows.
#pragma once

#include <cstdint>

#include "core/base/host_device.h"
#include "core/base/random.h"

#if defined(__AVX2__) && !defined(__CUDACC__)
#include <immintrin.h>
#define FUNNEL_PHILOX_AVX2
#endif

namespace funnel {

#ifdef FUNNEL_PHILOX_AVX2
namespace detail {

// Sixteen counters, one to a 64-bit lane. The generator's multiplication reads only a lane's lower
// half, so the upper halves may hold anything; compilers do not find this by themselves and spend
// most of their time moving halves around (2.4 ns a word, against 0.7 ns here).
inline void philox_sixteen(const RandomStream& stream, uint64_t first, const __m256i* keys,
                           uint32_t* words) {
  constexpr int kLanes = 4;
  const __m256i multiplier0 = _mm256_set1_epi64x(0xd2511f53u);
  const __m256i multiplier1 = _mm256_set1_epi64x(0xcd9e8d57u);
  __m256i x0[kLanes], x1[kLanes], x2[kLanes], x3[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    x0[i] = _mm256_add_epi64(_mm256_set1_epi64x(static_cast<int64_t>(first + 4 * i)),
                             _mm256_set_epi64x(3, 2, 1, 0));
    x1[i] = _mm256_srli_epi64(x0[i], 32);
    x2[i] = _mm256_set1_epi64x(static_cast<int64_t>(stream.step));
    x3[i] = _mm256_srli_epi64(x2[i], 32);
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
    for (int i = 0; i < kLanes; ++i) {
      const __m256i product0 = _mm256_mul_epu32(x0[i], multiplier0);
      const __m256i product1 = _mm256_mul_epu32(x2[i], multiplier1);
      x0[i] = _mm256_srli_epi64(product1, 32) ^ x1[i] ^ keys[2 * round];
      x2[i] = _mm256_srli_epi64(product0, 32) ^ x3[i] ^ keys[2 * round + 1];
      x1[i] = product1;
      x3[i] = product0;
    }
  }
  for (int i = 0; i < kLanes; ++i) {
    const __m256i low = _mm256_blend_epi32(x0[i], _mm256_slli_epi64(x1[i], 32), 0xaa);
    const __m256i high = _mm256_blend_epi32(x2[i], _mm256_slli_epi64(x3[i], 32), 0xaa);
    const __m256i even = _mm256_unpacklo_epi64(low, high);
    const __m256i odd = _mm256_unpackhi_epi64(low, high);
    auto* to = reinterpret_cast<__m256i*>(words + 16 * i);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

}  // namespace detail
#endif

// words[4 c + w] = stream.bits(first + c).word[w] for c in [0, kCalls).
template <int kCalls>
FUNNEL_HD inline void random_words(const RandomStream& stream, uint64_t first, uint32_t* words) {
#ifdef FUNNEL_PHILOX_AVX2
  static_assert(kCalls % 16 == 0);
  __m256i keys[20];
  uint32_t key0 = static_cast<uint32_t>(stream.key);
  uint32_t key1 = static_cast<uint32_t>(stream.key >> 32);
  for (int round = 0; round < 10; ++round) {
    keys[2 * round] = _mm256_set1_epi64x(key0);
    keys[2 * round + 1] = _mm256_set1_epi64x(key1);
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  for (int c = 0; c < kCalls; c += 16) {
    detail::philox_sixteen(stream, first + c, keys, words + 4 * c);
  }
#else
  for (int c = 0; c < kCalls; ++c) {
    const RandomBits bits = stream.bits(first + c);
    for (int w = 0; w < 4; ++w) words[4 * c + w] = bits.word[w];
  }
#endif
}

}  // namespace funnel
