// SPDX-License-Identifier: Apache-2.0
#include "core/backend/cpu/fma_peak.h"

#include <algorithm>
#include <chrono>

namespace funnel {
namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;

// Enough independent chains to cover the latency of two pipelined multiply-add units.
constexpr int kChains = 12;

// Runs multiply-adds; returns how many operations that were.
double multiply_add(long rounds, float& sink) {
  Vector chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = Vector{} + static_cast<float>(c);
  const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) chain[c] = chain[c] * factor + term;
  }
  for (int c = 0; c < kChains; ++c) sink += chain[c][0];
  return 2.0 * kLanes * kChains * static_cast<double>(rounds);
}

}  // namespace

double measure_fma_peak() {
  constexpr long kRounds = 1000000;
  using Clock = std::chrono::steady_clock;
  float sink = 0;
  double best = 0;
  for (int run = 0; run < 4; ++run) {
    const Clock::time_point start = Clock::now();
    const double operations = multiply_add(kRounds, sink);
    const std::chrono::duration<double> seconds = Clock::now() - start;
    best = std::max(best, operations / seconds.count());
  }
  // The sums are used, so the loops cannot be removed; they never reach this value.
  return sink == -1.0f ? 0 : best;
}

}  // namespace funnel
