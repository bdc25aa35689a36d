// SPDX-License-Identifier: Apache-2.0
#include "parallel/shard_tree.h"

#include <bit>
#include <cstring>

#include "core/base/add_into.h"
#include "core/base/error.h"

namespace funnel {
namespace {

bool is_power_of_two(int64_t value) {
  return value > 0 && std::has_single_bit(static_cast<uint64_t>(value));
}

}  // namespace

ShardRange shards_of_rank(int64_t total_shards, int rank, int ranks) {
  FUNNEL_CHECK_INPUT(is_power_of_two(total_shards),
                     "logical shards: expected a power of two, found ", total_shards);
  FUNNEL_CHECK_INPUT(is_power_of_two(ranks), "ranks: expected a power of two, found ", ranks);
  FUNNEL_CHECK_INPUT(total_shards % ranks == 0, "ranks: expected at most the ", total_shards,
                     " logical shards of the global batch, found ", ranks);
  FUNNEL_CHECK(rank >= 0 && rank < ranks, "no rank ", rank, " of ", ranks);
  const int64_t count = total_shards / ranks;
  return {rank * count, count};
}

ShardTree::ShardTree(Tensor leaf, int64_t shards, Context* context)
    : context_(context), leaf_(leaf), shards_(shards) {
  FUNNEL_CHECK(is_power_of_two(shards), "expected a power of two of shards on a rank, found ",
               shards);
  FUNNEL_CHECK(leaf.device() == (context == nullptr ? Device::cpu : context->device()),
               "expected the shards' results on the context's device");
  const int levels = std::countr_zero(static_cast<uint64_t>(shards));
  const int64_t stride = align_up(leaf.bytes());
  memory_ = Buffer(leaf.device(), levels * stride, "sums over logical shards");
  for (int level = 0; level < levels; ++level) {
    partial_.emplace_back(memory_.data() + level * stride, leaf.shape(), leaf.dtype(),
                          leaf.device());
  }
}

// leaf += partial
void ShardTree::add(const Tensor& partial) {
  if (context_ != nullptr) return context_->add(partial, leaf_);
  with_float_type(leaf_.dtype(), [&](auto zero) {
    using T = decltype(zero);
    add_into(leaf_.as<T>(), partial.as<T>(), leaf_.elements());
  });
}

// partial = leaf
void ShardTree::keep(const Tensor& partial) {
  if (context_ != nullptr) return context_->copy(leaf_, partial);
  if (leaf_.bytes() > 0) std::memcpy(partial.data(), leaf_.data(), leaf_.bytes());
}

void ShardTree::fold() {
  // Like a carry that runs through the set bits of a binary counter.
  size_t level = 0;
  for (; (folded_ >> level) & 1; ++level) add(partial_[level]);
  folded_ = (folded_ + 1) % shards_;
  if (folded_ != 0) keep(partial_[level]);
}

}  // namespace funnel
