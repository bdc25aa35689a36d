// SPDX-License-Identifier: Apache-2.0
// How a row functor drops out: each_with_factor is team.each with the factor of every element at
// hand. Factors come many at a time, which costs a fraction of asking one by one.
#pragma once

#include "core/backend/launch.h"
#include "core/ops/dropout.h"
#ifdef __CUDACC__
#include "core/ops/dropout_lanes.cuh"
#endif

namespace funnel {

// Teams of CUDA lanes; teams of threads ask one by one.
template <class Team>
inline constexpr bool kHasLanes = requires {
  Team::kMembers;
};

// f(i, factor) once for every i in [0, n), where factor = dropout.factor(first + i), or 1 when the
// dropout is inactive; members are in step after.
template <class Team, class F>
FUNNEL_HD void each_with_factor(const Team& team, int64_t n, const Dropout& dropout, int64_t first,
                                F f) {
  if (!dropout.active()) {
    team.each(n, [=](int64_t i) { f(i, 1.0f); });
  } else if constexpr (std::is_same_v<Team, SerialTeam>) {
    constexpr int64_t kBlock = 512;
    float factors[kBlock];
    for (int64_t begin = 0; begin < n; begin += kBlock) {
      const int64_t count = begin + kBlock < n ? kBlock : n - begin;
      fill_dropout_factors(dropout, first + begin, count, factors);
      const float* factor = factors;
      team.each(count, [=](int64_t i) { f(begin + i, factor[i]); });
    }
#ifdef __CUDACC__
  } else if constexpr (kHasLanes<Team>) {
    cuda::each_with_draws(team, n, dropout, first, f);
#endif
  } else {
    team.each(n, [=](int64_t i) { f(i, dropout.factor(first + i)); });
  }
}

// The same for a body that holds rows: f(i, slot, factor).
template <int64_t kMost, class Team, class F>
FUNNEL_HD void each_slot_with_factor(const Team& team, int64_t n, const Dropout& dropout,
                                     int64_t first, F f) {
  if constexpr (std::is_same_v<Team, SerialTeam>) {
    each_with_factor(team, n, dropout, first, [=](int64_t i, float factor) { f(i, i, factor); });
  } else if (!dropout.active()) {
    team.template each_slot<kMost>(n, [&](int64_t i, int64_t slot) { f(i, slot, 1.0f); });
#ifdef __CUDACC__
  } else if constexpr (kHasLanes<Team>) {
    cuda::each_slot_with_draws<kMost>(team, n, dropout, first, f);
#endif
  } else {
    team.template each_slot<kMost>(
        n, [&](int64_t i, int64_t slot) { f(i, slot, dropout.factor(first + i)); });
  }
}

}  // namespace funnel
