// SPDX-License-Identifier: Apache-2.0
// Correct kernels of the engine's kinds against plain double references, at ragged sizes, under all
// checkers and in several orders.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/cudacpu/device_memory.h"
#include "tests/cudacpu/selftest/kernels.h"

namespace funnel::testing {
namespace {

namespace selftest = cudacpu::selftest;

// Values between -2 and 2 that repeat late and are no multiples of one another.
float value_at(int64_t i) {
  return 2.0f * std::sin(0.37f * static_cast<float>(i % 9973) + 0.1f);
}

std::vector<float> values(int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[i] = value_at(i);
  return out;
}
std::vector<__nv_bfloat16> bf16_values(int64_t count, int64_t from = 0) {
  std::vector<__nv_bfloat16> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[i] = __float2bfloat16(value_at(from + i));
  return out;
}

// Each test runs in each of these orders, with one way of summing in mma each.
struct Order {
  const char* schedule;
  const char* mma;
};
class InterpretedKernels : public HostRuntimeTest, public ::testing::WithParamInterface<Order> {
 protected:
  void SetUp() override {
    HostRuntimeTest::SetUp();
    cudacpu::set_option("schedule", GetParam().schedule);
  }
  void TearDown() override {
    cudacpu::set_option("schedule", "ascending");
    cudacpu::set_option("mma", "rounded");
    HostRuntimeTest::TearDown();
  }
};

TEST_P(InterpretedKernels, Elementwise) {
  for (const int64_t n : {1, 255, 1000}) {
    const std::vector<float> x = values(n);
    const std::vector<__nv_bfloat16> x16 = bf16_values(n);
    const DeviceArray<float> dx(x), dy(n);
    const DeviceArray<__nv_bfloat16> dx16(x16), dy16(n);
    selftest::launch_elementwise(dx.data(), dy.data(), n, 0.5f);
    selftest::launch_elementwise(dx16.data(), dy16.data(), n, 0.5f);
    const std::vector<float> y = dy.host();
    const std::vector<__nv_bfloat16> y16 = dy16.host();
    for (int64_t i = 0; i < n; ++i) {
      const double a = x[i], b = __bfloat162float(x16[i]);
      EXPECT_NEAR(y[i], std::erf(a / 2) + std::tanh(a), 1e-6) << i;
      EXPECT_NEAR(__bfloat162float(y16[i]), std::erf(b / 2) + std::tanh(b), 8e-3) << i;
    }
  }
}

TEST_P(InterpretedKernels, LayerNorm) {
  const int rows = 7, cols = 99;
  const std::vector<__nv_bfloat16> x = bf16_values(rows * cols);
  const std::vector<float> gamma = values(cols), beta(cols, 0.25f);
  const DeviceArray<__nv_bfloat16> dx(x), dy(rows * cols);
  const DeviceArray<float> dgamma(gamma), dbeta(beta);
  selftest::launch_layer_norm(dx.data(), dgamma.data(), dbeta.data(), dy.data(), rows, cols);
  const std::vector<__nv_bfloat16> y = dy.host();
  for (int r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int c = 0; c < cols; ++c) mean += __bfloat162float(x[r * cols + c]) / double(cols);
    for (int c = 0; c < cols; ++c) {
      variance += std::pow(__bfloat162float(x[r * cols + c]) - mean, 2) / cols;
    }
    for (int c = 0; c < cols; ++c) {
      const double expected =
          (__bfloat162float(x[r * cols + c]) - mean) / std::sqrt(variance + 1e-5) * gamma[c] + 0.25;
      EXPECT_NEAR(__bfloat162float(y[r * cols + c]), expected, 4e-3 * (1 + std::fabs(expected)));
    }
  }
}

TEST_P(InterpretedKernels, Softmax) {
  const int rows = 3, cols = 301, length = 270;
  const std::vector<float> x = values(rows * cols);
  const DeviceArray<float> dx(x), dy(rows * cols);
  selftest::launch_softmax(dx.data(), dy.data(), rows, cols, length);
  const std::vector<float> y = dy.host();
  for (int r = 0; r < rows; ++r) {
    double total = 0;
    for (int c = 0; c < length; ++c) total += std::exp(double(x[r * cols + c]));
    for (int c = 0; c < cols; ++c) {
      const double expected = c < length ? std::exp(double(x[r * cols + c])) / total : 0;
      EXPECT_NEAR(y[r * cols + c], expected, 1e-6);
    }
  }
}

TEST_P(InterpretedKernels, LastBlockFinishes) {
  const int n = 5000, blocks = 9;
  const std::vector<float> x = values(n);
  const DeviceArray<float> dx(x), partial(blocks), sum(1);
  const DeviceArray<unsigned> counter(std::vector<unsigned>(1, 0));
  double expected = 0;
  for (const float v : x) expected += double(v) * v;
  for (int round = 0; round < 2; ++round) {
    selftest::launch_square_sum(dx.data(), partial.data(), counter.data(), sum.data(), n, blocks);
    EXPECT_NEAR(sum.host()[0], expected, 1e-6 * expected);
    EXPECT_EQ(counter.host()[0], 0u);
  }
}

TEST_P(InterpretedKernels, MatmulWithRaggedEdges) {
  cudacpu::set_option("mma", GetParam().mma);
  const int m = 70, n = 72, k = 40;
  const std::vector<__nv_bfloat16> a = bf16_values(m * k), b = bf16_values(k * n, 4000);
  const DeviceArray<__nv_bfloat16> da(a), db(b);
  const DeviceArray<float> dc(m * n);
  selftest::launch_matmul(da.data(), db.data(), dc.data(), m, n, k);
  const std::vector<float> c = dc.host();
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      double expected = 0;
      for (int l = 0; l < k; ++l) {
        expected += double(__bfloat162float(a[i * k + l])) * __bfloat162float(b[l * n + j]);
      }
      ASSERT_NEAR(c[i * n + j], expected, 1e-4) << i << ' ' << j;
    }
  }
}

TEST_P(InterpretedKernels, DivergingLanesMeetAgain) {
  const int threads = 96;
  const DeviceArray<int> out(threads);
  selftest::launch_diverging(out.data(), threads);
  const std::vector<int> found = out.host();
  for (int t = 0; t < threads; ++t) EXPECT_EQ(found[t], selftest::diverging_value(t)) << t;
}

INSTANTIATE_TEST_SUITE_P(Orders, InterpretedKernels,
                         ::testing::Values(Order{"ascending", "rounded"},
                                           Order{"descending", "ordered"},
                                           Order{"random:5", "truncated"}));

}  // namespace
}  // namespace funnel::testing
