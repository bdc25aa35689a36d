// SPDX-License-Identifier: Apache-2.0
// Instructions that lanes of a warp execute together.
#pragma once

#include "tests/cudacpu/decode.h"
#include "tests/cudacpu/lanes.h"

namespace funnel::cudacpu {

// Calls work(warp, in, mask) once for each set of lanes that names itself in its mask register and
// has arrived whole; parks lanes that must wait for others. Faults for callers outside their own
// mask and masks that name lanes which cannot come.
void run_collective(Warp& warp, const Instruction& in, Mask active, int32_t mask_slot,
                    void (*work)(Warp&, const Instruction&, Mask));

}  // namespace funnel::cudacpu
