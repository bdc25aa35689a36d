// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/pointwise.h, and central differences.
#include "core/ops/elementwise.h"

#include <gtest/gtest.h>

#include "tests/reference/pointwise.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

Dropout make_dropout() {
  return Dropout(0.25, RandomStream(5, Site("gelu"), 3), 13);
}

std::vector<double> factors_of(const Dropout& dropout, int64_t n) {
  std::vector<double> factors;
  for (int64_t i = 0; i < n; ++i) factors.push_back(dropout.factor(i));
  return factors;
}

class Elementwise : public ::testing::TestWithParam<std::tuple<DType, int64_t>> {
 protected:
  const DType dtype = std::get<0>(GetParam());
  const int64_t n = std::get<1>(GetParam());
  const Tolerance tolerance = tolerance_of(dtype, Kind::elementwise);
  Context& context = context_under_test();
};

TEST_P(Elementwise, Scale) {
  const OwnedTensor x = random_tensor({n}, dtype, 1), y({n}, dtype);
  for (const double by : {-0.3, 1.0}) {
    const OwnedTensor factor({1}, DType::f64, {by});
    scale(context, x, factor, y);
    const std::vector<double> factors(n, by);
    expect_close("y", y.values(), ref::multiply(x.values(), factors), tolerance);
    scale(context, x, factor, x);
    EXPECT_TRUE(same_bits(x, y)) << "y = x";
  }
}

TEST_P(Elementwise, AddScaled) {
  const OwnedTensor a = random_tensor({n}, dtype, 1), b = random_tensor({n}, dtype, 2);
  const OwnedTensor y({n}, dtype);
  add_scaled(context, a, b, -0.3, y);
  const std::vector<double> factors(n, -0.3);
  expect_close("y", y.values(), ref::add(a.values(), ref::multiply(b.values(), factors)),
               tolerance);
  add_scaled(context, a, b, -0.3, b);
  EXPECT_TRUE(same_bits(b, y)) << "y = b";
}

TEST_P(Elementwise, Fill) {
  const OwnedTensor y({n}, dtype);
  fill(context, 0.25, y);
  EXPECT_EQ(y.values(), std::vector<double>(n, 0.25));
}

TEST_P(Elementwise, Gelu) {
  const OwnedTensor x = random_tensor({n}, dtype, 1, 0, 2), dy = random_tensor({n}, dtype, 2);
  const OwnedTensor y({n}, dtype), dx({n}, dtype);
  for (const Dropout& dropout : {Dropout(), make_dropout()}) {
    const std::vector<double> factors = factors_of(dropout, n);
    gelu_forward(context, dropout, x, y);
    expect_close("y", y.values(), ref::multiply(ref::gelu_forward(x.values()), factors), tolerance);
    gelu_backward(context, dropout, x, dy, dx);
    expect_close("dx", dx.values(),
                 ref::multiply(ref::gelu_backward(dy.values(), x.values()), factors), tolerance);
  }
  gelu_backward(context, make_dropout(), x, dy, dy);
  EXPECT_TRUE(same_bits(dy, dx)) << "dx = dy";
}

INSTANTIATE_TEST_SUITE_P(Sizes, Elementwise,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                                            ::testing::Values(0, 1, 31, 33, 1000, 9001)));

TEST(Gelu, ExtremesStayFinite) {
  Context& context = context_under_test();
  for (DType dtype : {DType::f32, DType::f64}) {
    const OwnedTensor x({10}, dtype, {-1e30, -1e4, -40, -9.5, -1e-30, 0, 1e-30, 9.5, 40, 1e30});
    const OwnedTensor ones({10}, dtype, std::vector<double>(10, 1.0)), y({10}, dtype);
    gelu_forward(context, Dropout(), x, y);
    expect_close("gelu", y.values(), {0, 0, 0, 0, -5e-31, 0, 5e-31, 9.5, 40, 1e30},
                 {.relative = 2e-7, .absolute = 1e-45});
    gelu_backward(context, Dropout(), x, ones, y);
    expect_close("gelu'", y.values(), {0, 0, 0, 0, 0.5, 0.5, 0.5, 1, 1, 1}, {2e-7, 1e-20});
  }
}

TEST(Gelu, BackwardIsTheDerivative) {
  Context& context = context_under_test();
  constexpr int64_t kSize = 60;
  const OwnedTensor x = random_tensor({kSize}, DType::f64, 1, 0, 2);
  const OwnedTensor y({kSize}, DType::f64), dx({kSize}, DType::f64);
  const Functional functional(y.tensor().shape(), 2);
  gelu_backward(context, make_dropout(), x, functional.gradient(), dx);
  const auto forward = [&] {
    gelu_forward(context, make_dropout(), x, y);
    return functional.of(y);
  };
  check_gradients(forward, {{"x", x, dx}});
}

// The same value gives the same bits at every place of a vectorised loop.
TEST(Gelu, ValueDoesNotDependOnPosition) {
  Context& context = context_under_test();
  constexpr int64_t kSize = 1003;
  for (double value : {-2.718, -0.1, 0.77, 3.2}) {
    const OwnedTensor x({kSize}, DType::f32, std::vector<double>(kSize, value));
    const OwnedTensor y({kSize}, DType::f32), dx({kSize}, DType::f32);
    gelu_forward(context, Dropout(), x, y);
    gelu_backward(context, Dropout(), x, x, dx);
    const std::vector<double> ys = y.values(), dxs = dx.values();
    for (int64_t i = 1; i < kSize; ++i) {
      ASSERT_EQ(ys[i], ys[0]) << i;
      ASSERT_EQ(dxs[i], dxs[0]) << i;
    }
  }
}

TEST(Cast, ConvertsBothWays) {
  Context& context = context_under_test();
  const OwnedTensor wide = random_tensor({33}, DType::f64, 1), back({33}, DType::f64);
  const OwnedTensor narrow({33}, DType::f32);
  cast(context, wide, narrow);
  cast(context, narrow, back);
  const std::vector<double> values = wide.values(), narrowed = narrow.values();
  for (int64_t i = 0; i < 33; ++i) {
    ASSERT_EQ(narrowed[i], static_cast<double>(static_cast<float>(values[i])));
    ASSERT_EQ(back.values()[i], narrowed[i]);
  }
}

// On a device the instruction rounds, on the CPU our own code: to the same bits.
TEST(Cast, RoundsToBf16AsTheCpu) {
  std::vector<double> values = random_values(2000, 1, 0, 1e3);
  values.insert(values.end(), {0.0, -0.0, 1e-45, 3e-39, 3.4e38, -3.4e38, INFINITY, NAN, 1.00390625,
                               1.01171875, -1.00390625});
  const OwnedTensor x({static_cast<int64_t>(values.size())}, DType::f32, values);
  const OwnedTensor y(x.tensor().shape(), DType::bf16);
  cast(context_under_test(), x, y);
  const std::vector<char> found = bytes_of(y);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, &found[2 * i], sizeof(bits));
    ASSERT_EQ(bits, BFloat16(static_cast<float>(values[i])).bits) << values[i];
  }
}

TEST(Elementwise, WrongOperandsAreNamed) {
  Context& context = context_under_test();
  const OwnedTensor a({4}, DType::f32), b({5}, DType::f32), wide({4}, DType::f64);
  EXPECT_THROW(add_scaled(context, a, b, 1, a), Error);
  EXPECT_THROW(add_scaled(context, a, wide, 1, a), Error);
  EXPECT_THROW(gelu_forward(context, Dropout(), a, a), Error);
  EXPECT_THROW(cast(context, a, OwnedTensor({4}, DType::i32)), Error);
}

}  // namespace
}  // namespace funnel
