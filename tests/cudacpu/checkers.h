// SPDX-License-Identifier: Apache-2.0
// What the interpreter asks of each access to shared or device memory.
#pragma once

#include "tests/cudacpu/memory_access.h"

namespace funnel::cudacpu {

// Faults if a lane reads bytes that nobody has written; marks written ones.
void check_initialised(const Warp& warp, const Instruction& in, const Request& request,
                       AccessKind kind);

}  // namespace funnel::cudacpu
