// SPDX-License-Identifier: Apache-2.0
// Oracle: the contract of tensor.h.
#include "core/base/tensor.h"

#include <gtest/gtest.h>

#include <array>

namespace funnel {
namespace {

static_assert(std::is_convertible_v<Tensor, ConstTensor>);
static_assert(!std::is_convertible_v<ConstTensor, Tensor>);
static_assert(!std::is_constructible_v<Tensor, ConstTensor>);

std::array<float, 24> memory{};

TEST(Tensor, SeesMemory) {
  const Tensor tensor(memory.data(), {2, 3, 4}, DType::f32);
  EXPECT_TRUE(tensor);
  EXPECT_EQ(tensor.as<float>(), memory.data());
  EXPECT_EQ(tensor.elements(), 24);
  EXPECT_EQ(tensor.bytes(), 96);
  EXPECT_EQ(tensor.rows(), 6);
  EXPECT_EQ(tensor.cols(), 4);
  const ConstTensor constant = tensor;
  static_assert(std::is_same_v<decltype(constant.as<float>()), const float*>);
  EXPECT_EQ(constant.data(), tensor.data());
}

TEST(Tensor, NullMeansNotGiven) {
  const ConstTensor null;
  EXPECT_FALSE(null);
  EXPECT_EQ(null.as<float>(), nullptr);
  EXPECT_EQ(null.as<int32_t>(), nullptr);
}

TEST(Tensor, RefusesAnotherType) {
  const Tensor tensor(memory.data(), {24}, DType::f32);
  EXPECT_THROW(tensor.as<int32_t>(), Error);
  EXPECT_THROW(tensor.as<double>(), Error);
}

TEST(Tensor, ReshapesAndSlices) {
  const Tensor tensor(memory.data(), {24}, DType::f32);
  EXPECT_EQ(tensor.reshaped({4, 6}).shape(), (Shape{4, 6}));
  EXPECT_THROW(tensor.reshaped({5, 5}), Error);
  EXPECT_EQ(tensor.slice(6, {3, 6}).as<float>(), memory.data() + 6);
  EXPECT_EQ(tensor.slice(24, {0}).elements(), 0);
  EXPECT_THROW(tensor.slice(7, {3, 6}), Error);
  EXPECT_THROW(tensor.slice(-1, {1}), Error);
}

TEST(Tensor, CheckShapeNamesTheTensor) {
  const Tensor tensor(memory.data(), {4, 6}, DType::f32);
  check_shape("norm: x", tensor, {4, 6});
  try {
    check_shape("norm: x", tensor, {6, 4});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("norm: x: expected shape [6, 4], found [4, 6]"),
              std::string::npos);
  }
}

TEST(DType, SizesNamesAndDispatch) {
  EXPECT_EQ(size_of(DType::f32), 4);
  EXPECT_EQ(size_of(DType::f64), 8);
  EXPECT_EQ(size_of(DType::i32), 4);
  EXPECT_EQ(size_of(DType::u8), 1);
  const auto size = [](auto zero) { return sizeof(zero); };
  EXPECT_EQ(with_float_type(DType::f32, size), sizeof(float));
  EXPECT_EQ(with_float_type(DType::f64, size), sizeof(double));
  EXPECT_THROW(with_float_type(DType::i32, size), Error);
}

}  // namespace
}  // namespace funnel
