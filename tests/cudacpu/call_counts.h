// SPDX-License-Identifier: Apache-2.0
// What a thread has asked of the host runtime so far, for tests that demand, say, that a step waits
// for the device once.
#pragma once

#include <cstdint>

namespace funnel::cudacpu {

struct CallCounts {
  // Calls that wait for the device. Asking whether work is done counts as one wait, however often,
  // until the thread gives more work.
  int64_t waits = 0;
  int64_t graph_launches = 0;
  int64_t graph_instantiations = 0;
};

// Of the calling thread.
CallCounts call_counts();

// False where the program runs on a real device, which counts nothing.
bool counts_calls();

}  // namespace funnel::cudacpu
