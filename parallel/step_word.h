// SPDX-License-Identifier: Apache-2.0
// The small field that rides beside each step's gradients: losses and counts summed over shards in
// the same fixed tree, and what ranks must agree on before any of them acts: a wish to stop, values
// that are not finite, replicas that have drifted apart.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/backend/buffer.h"
#include "parallel/comm.h"
#include "parallel/shard_tree.h"

namespace funnel {

class StepWord {
 public:
  // values: how many doubles each shard contributes. shards: of this rank, a power of two.
  StepWord(int64_t values, int64_t shards);

  // Where the current shard's values go, before fold_shard(); after reduce(), their sums over all
  // shards of all ranks.
  std::span<double> values();

  // Takes the values as this shard's.
  void fold_shard();

  struct OfRank {
    bool stop = false;            // this rank wants to save and end
    bool non_finite = false;      // this rank met a loss or gradient that is not finite
    uint64_t replica_digest = 0;  // of the replicated state
  };
  struct Agreed {
    bool stop = false;            // some rank wants to stop
    bool non_finite = false;      // some rank met a value that is not finite
    bool replicas_agree = false;  // all ranks gave the same digest
  };
  // Collective, after the last shard was folded. Every rank returns the same.
  Agreed reduce(Comm& comm, const OfRank& mine);

 private:
  Buffer memory_;
  Tensor values_;
  Tensor flags_;
  ShardTree tree_;
};

}  // namespace funnel
