// SPDX-License-Identifier: Apache-2.0
// The sum inside a rank. The oracle: a recursive sum.
#include "parallel/shard_tree.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "parallel/step_word.h"

namespace funnel {
namespace {

float naive_tree(const std::vector<float>& leaves, size_t first, size_t count) {
  if (count == 1) return leaves[first];
  const float left = naive_tree(leaves, first, count / 2);
  const float right = naive_tree(leaves, first + count / 2, count / 2);
  return left + right;
}

TEST(ShardTree, AddsInABinaryTree) {
  for (int64_t shards = 1; shards <= 64; shards *= 2) {
    std::vector<float> leaves(shards);
    for (int64_t i = 0; i < shards; ++i) {
      leaves[i] = (i % 3 == 0 ? -1.0f : 1.0f) * static_cast<float>(1 << (i * 7 % 25)) / 3.0f;
    }
    float leaf = 0;
    ShardTree tree(Tensor(&leaf, {1}, DType::f32), shards);
    for (const float value : leaves) {
      leaf = value;
      tree.fold();
    }
    const float expected = naive_tree(leaves, 0, leaves.size());
    EXPECT_EQ(std::memcmp(&leaf, &expected, sizeof(leaf)), 0) << shards << " shards";
    // The order matters for these leaves, or the test would prove nothing.
    if (shards == 64) {
      EXPECT_NE(leaf, std::accumulate(leaves.begin(), leaves.end(), 0.0f));
    }
  }
}

TEST(ShardTree, RefusesWhatItCannotAdd) {
  float leaf = 0;
  EXPECT_THROW(ShardTree(Tensor(&leaf, {1}, DType::f32), 3), Error);
  EXPECT_THROW(ShardTree(Tensor(&leaf, {1}, DType::f32), 0), Error);
}

TEST(ShardsOfRank, CutsTheBatchEvenly) {
  EXPECT_EQ(shards_of_rank(16, 0, 1).count, 16);
  EXPECT_EQ(shards_of_rank(16, 3, 4).first, 12);
  EXPECT_EQ(shards_of_rank(16, 3, 4).count, 4);
  EXPECT_EQ(shards_of_rank(16, 15, 16).first, 15);
}

void expect_usage(int64_t shards, int ranks, const std::string& expected) {
  try {
    shards_of_rank(shards, 0, ranks);
    ADD_FAILURE() << shards << " shards on " << ranks << " ranks were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    EXPECT_EQ(std::string(error.what()), expected);
  }
}

TEST(ShardsOfRank, NamesABadNumber) {
  expect_usage(12, 4, "logical shards: expected a power of two, found 12");
  expect_usage(16, 3, "ranks: expected a power of two, found 3");
  expect_usage(8, 16, "ranks: expected at most the 8 logical shards of the global batch, found 16");
}

}  // namespace
}  // namespace funnel
