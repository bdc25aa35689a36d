// SPDX-License-Identifier: Apache-2.0
// The sum over the logical shards of a global batch inside one rank, in the fixed binary tree
//     ((g0 + g1) + (g2 + g3)) + ...
// that Comm::all_reduce_sum continues between ranks. Because every rank holds a power of two of
// neighbouring shards, the bits of the whole sum are the same on any number of ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "core/backend/buffer.h"
#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// The shards that a rank computes: [first, first + count).
struct ShardRange {
  int64_t first = 0;
  int64_t count = 0;
};

// Rank r of R computes shards [r S / R, (r + 1) S / R). Input error unless S and R are powers of
// two and R divides S.
ShardRange shards_of_rank(int64_t total_shards, int rank, int ranks);

// Adds up to 2^k results, one at a time, with k partial sums in memory: partial sum i holds the
// sum of 2^i shards whenever bit i of the number of shards added so far is set.
class ShardTree {
 public:
  // `leaf` (f32 or f64) is where the caller leaves each shard's result; it must outlive this.
  // `shards` is the number of results of one step on this rank, a power of two. `context` is of the
  // leaf's device; it may be left out on the CPU. Allocates all that is ever needed.
  ShardTree(Tensor leaf, int64_t shards, Context* context = nullptr);

  // Takes what the leaf holds as the next shard's result. After the last shard's, the leaf holds
  // the sum of all and the next step may begin; before, the leaf's contents are unspecified. On a
  // CUDA device all that is in the order of the context's stream.
  void fold();

 private:
  void add(const Tensor& partial);
  void keep(const Tensor& partial);

  Context* context_;
  Tensor leaf_;
  int64_t shards_;
  int64_t folded_ = 0;
  Buffer memory_;
  std::vector<Tensor> partial_;
};

}  // namespace funnel
