// SPDX-License-Identifier: Apache-2.0
// Oracle: the contracts of buffer.h and context.h.
#include "core/backend/buffer.h"

#include <gtest/gtest.h>

#include "core/backend/context.h"
#include "tests/support/random_tensor.h"

namespace funnel {
namespace {

using namespace funnel::testing;

TEST(Buffer, IsAlignedAndCounted) {
  const int64_t before = Buffer::allocations();
  for (int64_t bytes : {1, 255, 257, 100000}) {
    const Buffer buffer(Device::cpu, bytes);
    EXPECT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment, 0u);
    buffer.data()[bytes - 1] = 1;
  }
  EXPECT_EQ(Buffer::allocations() - before, 4);
}

TEST(Buffer, OfNothingAllocatesNothing) {
  const int64_t before = Buffer::allocations();
  const Buffer buffer(Device::cpu, 0);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.tensor({0, 4}, DType::f32).elements(), 0);
  EXPECT_EQ(Buffer::allocations(), before);
}

TEST(Buffer, MovesWithoutCopying) {
  Buffer a(Device::cpu, 64);
  char* data = a.data();
  Buffer b(std::move(a));
  EXPECT_EQ(b.data(), data);
  Buffer c(Device::cpu, 32);
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  EXPECT_EQ(c.bytes(), 64);
}

TEST(Buffer, TensorMustFit) {
  const Buffer buffer(Device::cpu, 64);
  EXPECT_EQ(buffer.tensor({4, 4}, DType::f32).data(), buffer.data());
  EXPECT_THROW(buffer.tensor({17}, DType::f32), Error);
  EXPECT_THROW(buffer.tensor({9}, DType::f64), Error);
  EXPECT_THROW(Buffer(Device::cpu, -1), Error);
}

TEST(Context, FillsAndCopies) {
  Context& context = context_under_test();
  const OwnedTensor a = random_tensor({3, 5}, DType::f32, 1), b({3, 5}, DType::f32);
  context.copy(a, b);
  EXPECT_TRUE(same_bits(a, b));
  context.fill_zero(b);
  EXPECT_EQ(b.values(), std::vector<double>(15, 0.0));
  EXPECT_THROW(context.copy(a, b.tensor().reshaped({5, 3})), Error);
  EXPECT_THROW(context.fill_zero({}), Error);
  EXPECT_THROW(context.copy({}, {}), Error);
  EXPECT_THROW(context.copy(a, OwnedTensor({3, 5}, DType::f64)), Error);
}

}  // namespace
}  // namespace funnel
