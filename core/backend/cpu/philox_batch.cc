// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cpu/philox_batch.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace funnel {
namespace {

#ifdef __AVX2__

// Eight calls in two interleaved chains of four 64-bit lanes. A lane's low half is the 32-bit
// state; the product instruction ignores the high half, so it may hold anything, and the high word
// of a product is one shift away. No shuffle is needed until the end; a compiler left to vectorise
// 32-bit lanes spends most of its instructions on them.
class PhiloxLanes {
 public:
  static constexpr int64_t kCalls = 8;

  explicit PhiloxLanes(const RandomStream& stream) : step_(stream.step) {
    uint32_t key0 = static_cast<uint32_t>(stream.key);
    uint32_t key1 = static_cast<uint32_t>(stream.key >> 32);
    for (int round = 0; round < kRounds; ++round) {
      keys_[round][0] = _mm256_set1_epi64x(key0);
      keys_[round][1] = _mm256_set1_epi64x(key1);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
  }

  void words(uint64_t first_call, uint32_t* out) const {
    Chain a = start(first_call), b = start(first_call + 4);
    for (int round = 0; round < kRounds; ++round) {
      advance(a, keys_[round]);
      advance(b, keys_[round]);
    }
    store(a, out);
    store(b, out + 16);
  }

 private:
  static constexpr int kRounds = 10;
  struct Chain {
    __m256i c0, c1, c2, c3;
  };

  Chain start(uint64_t first_call) const {
    const __m256i index = _mm256_add_epi64(_mm256_set1_epi64x(static_cast<int64_t>(first_call)),
                                           _mm256_set_epi64x(3, 2, 1, 0));
    const __m256i step = _mm256_set1_epi64x(static_cast<int64_t>(step_));
    return {index, _mm256_srli_epi64(index, 32), step, _mm256_srli_epi64(step, 32)};
  }

  static void advance(Chain& s, const __m256i* key) {
    const __m256i p0 = _mm256_mul_epu32(s.c0, _mm256_set1_epi64x(0xD2511F53));
    const __m256i p1 = _mm256_mul_epu32(s.c2, _mm256_set1_epi64x(0xCD9E8D57));
    s.c0 = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(s.c1, key[0]));
    s.c1 = p1;
    s.c2 = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(s.c3, key[1]));
    s.c3 = p0;
  }

  // Words 0 and 1 of each call share a lane, and words 2 and 3; then calls go in order.
  static void store(const Chain& s, uint32_t* out) {
    const __m256i low = _mm256_blend_epi32(s.c0, _mm256_slli_epi64(s.c1, 32), 0xAA);
    const __m256i high = _mm256_blend_epi32(s.c2, _mm256_slli_epi64(s.c3, 32), 0xAA);
    const __m256i even = _mm256_unpacklo_epi64(low, high);
    const __m256i odd = _mm256_unpackhi_epi64(low, high);
    auto* to = reinterpret_cast<__m256i*>(out);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
  }

  uint64_t step_;
  __m256i keys_[kRounds][2];
};

#endif

}  // namespace

void philox_words(const RandomStream& stream, uint64_t first_call, int64_t calls, uint32_t* words) {
  int64_t call = 0;
#ifdef __AVX2__
  const PhiloxLanes lanes(stream);
  for (; call + PhiloxLanes::kCalls <= calls; call += PhiloxLanes::kCalls) {
    lanes.words(first_call + static_cast<uint64_t>(call), words + 4 * call);
  }
#endif
  for (; call < calls; ++call) {
    const RandomBits bits = stream.bits(first_call + static_cast<uint64_t>(call));
    for (int word = 0; word < 4; ++word) words[4 * call + word] = bits.word[word];
  }
}

}  // namespace funnel
