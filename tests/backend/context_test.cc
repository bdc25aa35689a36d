// SPDX-License-Identifier: Apache-2.0
// Oracle: the contracts of context.h and Buffer::for_transfer, on the device under test.
#include "core/backend/context.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Context, CarriesBytesThereAndBack) {
  Context& context = context_under_test();
  for (int64_t n : {0, 1, 1000}) {
    const Buffer there = Buffer::for_transfer(context.device(), n * 4);
    const Buffer back = Buffer::for_transfer(context.device(), n * 4);
    const Tensor from = there.tensor({n}, DType::i32), to = back.tensor({n}, DType::i32);
    for (int64_t i = 0; i < n; ++i) from.as<int32_t>()[i] = static_cast<int32_t>(i);
    const OwnedTensor a({n}, DType::i32), b({n}, DType::i32);
    context.upload(from, a);
    context.copy(a, b);
    context.fill_zero(a);
    context.download(b, to);
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(to.as<int32_t>()[i], i);
    EXPECT_EQ(a.values(), std::vector<double>(n, 0));
  }
}

TEST(Context, WrongOperandsAreNamed) {
  Context& context = context_under_test();
  const OwnedTensor a({4}, DType::f32), b({5}, DType::f32), wide({4}, DType::f64);
  EXPECT_THROW(context.copy(a, b), Error);
  EXPECT_THROW(context.upload(a, wide), Error);
  EXPECT_THROW(context.fill_zero(Tensor(nullptr, {4}, DType::f32, context.device())), Error);
  const Device other = context.device() == Device::cpu ? Device::cuda : Device::cpu;
  const Tensor elsewhere(a.tensor().data(), {4}, DType::f32, other);
  const std::string message = message_of([&] { context.fill_zero(elsewhere); });
  EXPECT_NE(message.find("fill_zero: expected memory of"), std::string::npos) << message;
}

}  // namespace
}  // namespace funnel::testing
