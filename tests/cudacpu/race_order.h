// SPDX-License-Identifier: Apache-2.0
// Questions about the order of accesses, for the race checker.
#pragma once

#include "tests/cudacpu/race.h"

namespace funnel::cudacpu {

// Whether what a thread of this block did at `clock` is ordered before what (now_warp, now_lane)
// does now.
bool happened_before(const BlockOrder& order, int warp, int lane, uint32_t clock, int now_warp,
                     int now_lane);
// Whether another block of the launch has made its access known: fence, then atomic.
bool released(const BlockOrder& order, uint64_t block, int warp, int lane, uint32_t clock);
// Whether the thread may rely on what other blocks made known: atomic, then fence.
bool acquired(const BlockOrder& order, int warp, int lane);

void note_atomic(Warp& warp, Mask lanes);

}  // namespace funnel::cudacpu
