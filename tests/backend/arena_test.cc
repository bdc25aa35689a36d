// SPDX-License-Identifier: Apache-2.0
// Oracle: the contract of arena.h, with Buffer::allocations as the witness.
#include "core/backend/arena.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/random_tensor.h"

namespace funnel {
namespace {

// One made-up step: pieces of many sizes, some in nested scopes. Every piece is written whole, and
// the pieces alive at once must not overlap.
void run_step(Arena& arena) {
  std::vector<Tensor> alive;
  for (int i = 0; i < 40; ++i) {
    const Tensor piece = arena.tensor({(i * 7919) % 100003 + 1}, DType::f32);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(piece.data()) % kAlignment, 0u);
    testing::set_values(piece, std::vector<double>(piece.elements(), i));
    alive.push_back(piece);
    Scratch outer(arena);
    testing::set_values(outer.tensor({30000}, DType::f32), std::vector<double>(30000, -1));
    Scratch inner(arena);
    testing::set_values(inner.tensor({300000}, DType::f32), std::vector<double>(300000, -2));
  }
  for (int i = 0; i < 40; ++i) {
    const float* data = alive[i].as<float>();
    EXPECT_EQ(std::count(data, data + alive[i].elements(), static_cast<float>(i)),
              alive[i].elements());
  }
}

TEST(Arena, GrowsInTheFirstStepThenNeverAgain) {
  Arena arena(Device::cpu);
  run_step(arena);
  arena.reset();
  const int64_t high_water = arena.high_water_bytes();
  const int64_t after_first = Buffer::allocations();
  for (int step = 0; step < 3; ++step) {
    run_step(arena);
    arena.reset();
  }
  EXPECT_EQ(Buffer::allocations(), after_first);
  EXPECT_EQ(arena.high_water_bytes(), high_water);
}

TEST(Arena, ResetGivesTheSameMemoryAgain) {
  Arena arena(Device::cpu);
  const void* first = arena.tensor({100}, DType::f32).data();
  arena.tensor({100}, DType::f32);
  arena.reset();
  EXPECT_EQ(arena.tensor({50}, DType::f64).data(), first);
}

TEST(Arena, RewindsAcrossChunks) {
  Arena arena(Device::cpu);
  const Tensor kept = arena.tensor({1000}, DType::f32);
  testing::set_values(kept, std::vector<double>(1000, 5));
  const Arena::Mark mark = arena.mark();
  const void* after = arena.tensor({10}, DType::f32).data();
  for (int i = 0; i < 5; ++i) arena.tensor({1 << 20}, DType::f32);
  arena.rewind(mark);
  EXPECT_EQ(arena.tensor({10}, DType::f32).data(), after);
  EXPECT_EQ(testing::values_of(kept), std::vector<double>(1000, 5));
  const int64_t before = Buffer::allocations();
  for (int i = 0; i < 5; ++i) arena.tensor({1 << 20}, DType::f32);
  EXPECT_EQ(Buffer::allocations(), before) << "the chunks are kept";
}

TEST(Arena, RefusesAMarkThatLiesAhead) {
  Arena arena(Device::cpu);
  arena.tensor({1000}, DType::f32);
  const Arena::Mark mark = arena.mark();
  arena.reset();
  EXPECT_THROW(arena.rewind(mark), Error);
}

TEST(Arena, EmptyPiecesAreDistinct) {
  Arena arena(Device::cpu);
  const Tensor a = arena.tensor({0}, DType::f32), b = arena.tensor({0}, DType::f32);
  EXPECT_TRUE(a);
  EXPECT_NE(a.data(), b.data());
}

// High water counts what was held at once, chunks' unused ends included, so one chunk of that size
// holds the next step.
TEST(Arena, HighWaterHoldsARandomStep) {
  std::mt19937_64 generator(3);
  std::vector<int64_t> sizes(200);
  for (int64_t& size : sizes) size = generator() % 200000;
  Arena arena(Device::cpu);
  for (int64_t size : sizes) arena.tensor({size}, DType::f64);
  arena.reset();
  const int64_t before = Buffer::allocations();
  for (int64_t size : sizes) arena.tensor({size}, DType::f64);
  EXPECT_EQ(Buffer::allocations(), before);
}

}  // namespace
}  // namespace funnel
