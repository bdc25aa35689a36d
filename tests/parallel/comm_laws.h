// SPDX-License-Identifier: Apache-2.0
// What every Comm promises, to be checked on every implementation and number of ranks. Each check
// is collective: all ranks of the group run it.
#pragma once

#include "parallel/comm.h"

namespace funnel::testing {

void check_broadcast(Comm& comm);
void check_all_gather(Comm& comm);
void check_exchange(Comm& comm);

// ShardTree in a rank, then all_reduce_sum between ranks, against a naive recursive sum over the
// same shards that knows nothing of ranks: bits must be equal.
void check_exact_sum(Comm& comm);

void check_step_word(Comm& comm);
void check_failing_together(Comm& comm);

// The same promises for tensors on the device of `context`, which the group has attached; the sums'
// oracle is that of check_exact_sum, bit for bit.
void check_device_laws(Comm& comm, Context& context);

inline void check_all_laws(Comm& comm) {
  check_broadcast(comm);
  check_all_gather(comm);
  check_exchange(comm);
  check_exact_sum(comm);
  check_step_word(comm);
  check_failing_together(comm);
}

}  // namespace funnel::testing
