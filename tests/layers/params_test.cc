// SPDX-License-Identifier: Apache-2.0
// Oracles: the promises of core/layers/params.h; the standard normal distribution, by known
// quantiles and by the moments of a normal cut at two deviations.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/layers/initial_values.h"
#include "core/layers/params.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

TEST(Params, LieInOneFlatBufferInOrder) {
  Context context(Device::cpu);
  Params params(DType::f32);
  const Param& a = params.add("a", {3, 5}, ParamKind::weight);
  const Param& b = params.add("b", {64}, ParamKind::bias);
  const Param& c = params.add("c", {65}, ParamKind::norm_gain);
  params.allocate(context);
  EXPECT_EQ(a.offset, 0);
  EXPECT_EQ(b.offset, 64);
  EXPECT_EQ(c.offset, 128);
  EXPECT_EQ(params.flat_elements(), 256);
  EXPECT_EQ(params.count(), 15 + 64 + 65);
  EXPECT_EQ(&params.find("b"), &b);
  EXPECT_EQ(b.value.as<float>(), params.values().as<float>() + 64);
  EXPECT_EQ(b.grad.as<float>(), params.grads().as<float>() + 64);
  EXPECT_EQ(values_of(params.values()), std::vector<double>(256, 0.0));
  EXPECT_EQ(values_of(params.grads()), std::vector<double>(256, 0.0));
}

TEST(Params, RefuseWhatCannotBeRight) {
  Context context(Device::cpu);
  Params params(DType::f32);
  params.add("a", {3}, ParamKind::weight);
  EXPECT_THROW(params.add("a", {3}, ParamKind::weight), Error);
  EXPECT_THROW(params.find("b"), Error);
  params.allocate(context);
  EXPECT_THROW(params.add("c", {3}, ParamKind::weight), Error);
  EXPECT_THROW(params.allocate(context), Error);
}

TEST(Params, InitialValuesDependOnNameAndSeedAlone) {
  const auto values = [](const std::string& name, uint64_t seed, bool another_before) {
    Context context(Device::cpu);
    Params params(DType::f32);
    if (another_before) params.add("before", {7}, ParamKind::weight);
    const Param& param = params.add(name, {50}, ParamKind::weight);
    params.allocate(context);
    params.initialise(context, seed, 0.02);
    return values_of(param.value);
  };
  EXPECT_EQ(values("a", 1, false), values("a", 1, true));
  EXPECT_NE(values("a", 1, false), values("a", 2, false));
  EXPECT_NE(values("a", 1, false), values("b", 1, false));
}

TEST(Params, BiasesStartAtZeroAndGainsAtOne) {
  Context context(Device::cpu);
  Params params(DType::f64);
  const Param& bias = params.add("bias", {9}, ParamKind::bias);
  const Param& beta = params.add("beta", {9}, ParamKind::norm_bias);
  const Param& gamma = params.add("gamma", {9}, ParamKind::norm_gain);
  params.allocate(context);
  set_values(params.values(), std::vector<double>(params.flat_elements(), 5.0));
  params.initialise(context, 1, 0.02);
  EXPECT_EQ(values_of(bias.value), std::vector<double>(9, 0.0));
  EXPECT_EQ(values_of(beta.value), std::vector<double>(9, 0.0));
  EXPECT_EQ(values_of(gamma.value), std::vector<double>(9, 1.0));
}

// bf16 has a copy that layers read, of what is kept as f32.
TEST(Params, LayersOfBf16ReadARoundedCopy) {
  Context context(Device::cpu);
  Params params(DType::bf16);
  const Param& weight = params.add("weight", {7, 9}, ParamKind::weight);
  params.allocate(context);
  params.initialise(context, 1, 0.02);
  EXPECT_EQ(params.values().dtype(), DType::f32);
  EXPECT_EQ(weight.grad.dtype(), DType::f32);
  EXPECT_EQ(weight.value.dtype(), DType::bf16);
  EXPECT_EQ(weight.value.data(), params.rounded_values().data());
  const auto expect_rounded = [&] {
    for (int64_t i = 0; i < 63; ++i) {
      ASSERT_EQ(weight.value.as<BFloat16>()[i].bits, BFloat16(params.values().as<float>()[i]).bits);
    }
  };
  expect_rounded();
  set_values(params.values().slice(0, {63}), random_values(63, 2));
  params.round_values(context);
  expect_rounded();
  EXPECT_FALSE(Params(DType::f32).rounded_values());
}

TEST(InitialValues, QuantilesOfTheNormalDistribution) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-15);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.0001), -3.71901648545568, 1e-14);
  EXPECT_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-14);
  for (double x : {-3.0, -1.7, -0.3, 0.1, 0.9, 2.6}) {
    EXPECT_NEAR(normal_quantile(0.5 * std::erfc(-x / std::sqrt(2.0))), x, 1e-13) << x;
  }
}

TEST(InitialValues, AreNormalCutAtTwoDeviations) {
  const OwnedTensor tensor({200000}, DType::f64);
  fill_truncated_normal(RandomStream(3, Site("weights"), 0), 0.02, tensor);
  const std::vector<double> values = tensor.values();
  double sum = 0, squares = 0, largest = 0;
  for (double value : values) {
    sum += value;
    squares += value * value;
    largest = std::max(largest, std::abs(value));
  }
  const double n = static_cast<double>(values.size()), deviation = std::sqrt(squares / n);
  EXPECT_LE(largest, 0.04);
  EXPECT_GT(largest, 0.0399);
  EXPECT_NEAR(sum / n, 0, 4 * 0.0176 / std::sqrt(n));
  EXPECT_NEAR(deviation, 0.01759, 1e-4);
  EXPECT_GT(std::set<double>(values.begin(), values.end()).size(), 199000u);
}

}  // namespace
}  // namespace funnel::testing
