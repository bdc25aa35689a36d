// SPDX-License-Identifier: Apache-2.0
// How a row functor draws a token from the softmax of a row of logits: the argmax of logits with
// Gumbel noise. Contract in core/ops/vocabulary_loss.h.
#pragma once

#include <bit>
#include <cmath>

#include "core/backend/cpu/philox_batch.h"
#include "core/backend/launch.h"
#include "core/base/math.h"
#include "core/base/random.h"

namespace funnel {

// Orders (score, token) pairs by one integer: the larger score first, then the smaller token. Never
// 0, the identity of the maximum.
FUNNEL_HD inline uint64_t draw_key(float score, int64_t token) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  const uint32_t ordered = bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
  return (static_cast<uint64_t>(ordered) << 32) | (0xffffffffu - static_cast<uint32_t>(token));
}

FUNNEL_HD inline int32_t token_of_key(uint64_t key) {
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(key));
}

// words[4 c + w] = word w of call first + c.
template <int kCalls>
FUNNEL_HD void draw_words(const RandomStream& stream, uint64_t first, uint32_t* words) {
  if constexpr (kCalls > 1) {
#ifndef __CUDA_ARCH__
    philox_words(stream, first, kCalls, words);
#endif
  } else {
    const RandomBits bits = stream.bits(first);
    for (int w = 0; w < 4; ++w) words[w] = bits.word[w];
  }
}

// The best key of tokens [begin, begin + 4 kCalls). Loops run over whole blocks, also at the end of
// a row, so that a score is computed by the same instructions wherever its token lies.
template <int kCalls, class T>
FUNNEL_HD uint64_t best_draw(const T* logits, int64_t vocab, const RandomStream& stream,
                             uint64_t first_call, int64_t begin) {
  constexpr int kBlock = 4 * kCalls;
  const int64_t left = vocab - begin;
  const int count = left < kBlock ? static_cast<int>(left) : kBlock;
  uint32_t words[kBlock];
  draw_words<kCalls>(stream, first_call + static_cast<uint64_t>(begin / 4), words);
  const T* z = logits + begin;
  float scores[kBlock];
  for (int i = 0; i < count; ++i) scores[i] = static_cast<float>(z[i]);
  for (int i = count; i < kBlock; ++i) scores[i] = -HUGE_VALF;
  for (int i = 0; i < kBlock; ++i) {
    const float exponential = -math::log_of_normal(uniform01(words[i]) + 1e-9f);
    const float score = scores[i] - math::log_of_normal(exponential + 1e-9f);
    scores[i] = score == score ? score : -HUGE_VALF;
  }
  float best = -HUGE_VALF;
#pragma omp simd reduction(max : best)
  for (int i = 0; i < kBlock; ++i) best = scores[i] > best ? scores[i] : best;
  int first = kBlock;
#pragma omp simd reduction(min : first)
  for (int i = 0; i < kBlock; ++i) {
    const int candidate = scores[i] == best ? i : kBlock;
    first = candidate < first ? candidate : first;
  }
  return draw_key(best, begin + first);
}

// The token of the row with this number in the global batch; known to every member.
template <class T, class Team>
FUNNEL_HD int32_t draw_token(const T* logits, int64_t vocab, const RandomStream& stream,
                             int64_t row, const Team& team) {
  // Many draws at a time where a member has vectors, few where members are many.
  constexpr int kCalls = std::is_same_v<Team, SerialTeam> ? 64 : 1;
  constexpr int kBlock = 4 * kCalls;
  const uint64_t first_call = static_cast<uint64_t>(row) * static_cast<uint64_t>((vocab + 3) / 4);
  const RandomStream draws = stream;
  return token_of_key(team.max((vocab + kBlock - 1) / kBlock, [=](int64_t block) {
    return best_draw<kCalls>(logits, vocab, draws, first_call, block * kBlock);
  }));
}

}  // namespace funnel
