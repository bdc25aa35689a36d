// SPDX-License-Identifier: Apache-2.0
// funnel-bench's rule that nothing wrong is timed. Oracle: kernels of a line each, right and wrong;
// and the engine's own, whose errors have to be those of their precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tools/funnel_bench/checked_case.h"
#include "tools/funnel_bench/gelu_bench.h"
#include "tools/funnel_bench/matmul_bench.h"
#include "tools/funnel_bench/memory_bench.h"
#include "tools/funnel_bench/sampled_error.h"

namespace funnel::testing {
namespace {

// y = 2, in as many elements as `work` writes.
class MeasureTest : public ::testing::Test {
 protected:
  static constexpr int64_t kCount = 1000;

  Measurement measured(const std::function<void(float*)>& work) {
    const CheckedCase one{.row = {.name = "twos", .part = {}, .path = {}, .tolerance = 1e-6},
                          .outputs = {y_},
                          .begin = {},
                          .work = [&] { work(y_.as<float>()); },
                          .error =
                              [&] {
                                return sampled_error(context_, y_.reshaped({kCount, 1}),
                                                     [](int64_t, int64_t) { return 2.0; });
                              }};
    return measure(context_, one, 1);
  }

  Context context_{Device::cpu};
  Buffer memory_{Device::cpu, kCount * 4};
  Tensor y_ = memory_.tensor({kCount}, DType::f32);
};

TEST_F(MeasureTest, WhatIsRightIsTimed) {
  const Measurement row = measured([](float* y) { std::fill_n(y, kCount, 2.0F); });
  EXPECT_TRUE(row.right());
  EXPECT_TRUE(row.milliseconds.has_value());
}

TEST_F(MeasureTest, WhatIsWrongIsNot) {
  const Measurement row = measured([](float* y) {
    std::fill_n(y, kCount, 2.0F);
    y[kCount - 1] = 2.1F;
  });
  EXPECT_NEAR(row.error, 0.05 / std::sqrt(64), 1e-6);  // one of 64 elements is looked at
  EXPECT_FALSE(row.milliseconds.has_value());
}

TEST_F(MeasureTest, NorWhatLeavesAnElementUnwritten) {
  const std::vector<int64_t> seen = sampled_rows(kCount, 64);
  int64_t unseen = 1;
  while (std::find(seen.begin(), seen.end(), unseen) != seen.end()) ++unseen;
  const Measurement row = measured([&](float* y) {
    for (int64_t i = 0; i < kCount; ++i) {
      if (i != unseen) y[i] = 2.0F;
    }
  });
  EXPECT_TRUE(std::isnan(row.error));
  EXPECT_FALSE(row.milliseconds.has_value());
}

TEST_F(MeasureTest, NorWhatHasOtherBitsEachTime) {
  float last = 2.0F;
  const Measurement row = measured([&](float* y) {
    std::fill_n(y, kCount, 2.0F);
    y[1] = last = std::nextafter(last, 3.0F);
  });
  EXPECT_FALSE(row.bits_repeat);
  EXPECT_FALSE(row.milliseconds.has_value());
}

TEST(SampledError, ANumberThatIsNoneWins) {
  EXPECT_TRUE(std::isnan(larger_error(std::nan(""), 1.0)));
  EXPECT_TRUE(std::isnan(larger_error(1.0, std::nan(""))));
  EXPECT_EQ(larger_error(1.0, 2.0), 2.0);
}

class EngineBench : public ::testing::TestWithParam<DType> {
 protected:
  void expect_right(const std::vector<Measurement>& rows, size_t count) {
    EXPECT_EQ(rows.size(), count);
    for (const Measurement& row : rows) {
      EXPECT_TRUE(row.right()) << row.name << ' ' << row.part << ": " << row.error;
      EXPECT_TRUE(row.milliseconds.has_value()) << row.name;
    }
  }

  static RunConfig tiny() {
    const std::vector<std::filesystem::path> files{std::filesystem::path(FUNNEL_CONFIGS_DIR) /
                                                   "tiny.textproto"};
    const std::vector<std::string> overrides{"train.global_batch=2", "train.logical_shards=1"};
    RunConfig config = load_config(files, overrides);
    if (!config.vocab_is_set) set_vocabulary(config, 501, "the test");
    return config;
  }

  Context context_{Device::cpu};
};

TEST_P(EngineBench, OfWhatMemoryBounds) {
  // Three kinds of norm, the embedding, both ways; the vocabulary and the optimizer.
  expect_right(bench_memory(context_, tiny(), GetParam(), 1), 10);
}

TEST_P(EngineBench, OfGelu) {
  const std::vector<Measurement> rows = bench_gelu(context_, tiny(), GetParam(), 1);
  expect_right(rows, 6);  // three lengths, forward and backward; nothing is joined on the CPU
}

TEST_P(EngineBench, OfOneAlgorithm) {
  const std::vector<Measurement> rows = bench_matmul(context_, tiny(), GetParam(), 1, 8);
  ASSERT_FALSE(rows.empty());
  for (const Measurement& row : rows) {
    EXPECT_EQ(row.algorithm_ms.size(), 1U) << row.name;
    EXPECT_EQ(row.wrong_algorithms, 0) << row.name;
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, EngineBench, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace funnel::testing
