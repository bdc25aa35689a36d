// SPDX-License-Identifier: Apache-2.0
// Learning in bf16, on the CPU or, built with FUNNEL_BF16_ON_CUDA, on a CUDA device. Oracles: the
// same steps in fp32 on the CPU, an undisturbed run for a resumed one, and fp32 on the CPU for a
// run that changes device and precision.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/launch/lives_fixture.h"

namespace funnel::testing {
namespace {

constexpr double kTolerance = 2e-2;  // relative

#ifdef FUNNEL_BF16_ON_CUDA
constexpr Device kDevice = Device::cuda;
#else
constexpr Device kDevice = Device::cpu;
#endif

RunConfig with_precision(RunConfig config, Precision precision) {
  config.precision = precision;
  return config;
}

// Logits of bf16 would draw other words here and there, and the runs would read other texts.
struct PrecisionRun : LearnerRun {
  PrecisionRun(const RunConfig& config, Device device) : LearnerRun(config, device) {
    feed.gives_samples = true;
  }
};

PrecisionRun bf16_run(const RunConfig& config) {
  return {with_precision(config, Precision::bf16), kDevice};
}

// The norm of the difference over the norm of what is expected.
double distance(const float* found, const float* expected, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    difference += std::pow(double{found[i]} - expected[i], 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

double distance(const Tensor& found, const Tensor& expected) {
  return distance(found.as<float>(), expected.as<float>(), expected.elements());
}

// Losses, counts that no rounding touches, and the norm of the gradient.
void expect_same_report(const StepReport& found, const StepReport& expected) {
  const PretrainMetrics &x = found.metrics, &y = expected.metrics;
  EXPECT_NEAR(x.loss, y.loss, kTolerance * y.loss);
  EXPECT_NEAR(x.mlm_loss, y.mlm_loss, kTolerance * y.mlm_loss);
  EXPECT_NEAR(x.discriminator_loss, y.discriminator_loss, kTolerance * y.discriminator_loss);
  EXPECT_EQ(x.predictions, y.predictions);
  EXPECT_EQ(x.tokens, y.tokens);
  EXPECT_EQ(x.original_tokens, y.original_tokens);
  EXPECT_NEAR(found.gradient_norm, expected.gradient_norm, kTolerance * expected.gradient_norm);
  EXPECT_FALSE(found.skipped);
}

// Three steps of bf16 give what three of fp32 do.
void expect_three_same_steps(const RunConfig& config) {
  PrecisionRun fp32(with_precision(config, Precision::fp32), Device::cpu), bf16 = bf16_run(config);
  for (int64_t step = 0; step < 3; ++step) {
    SCOPED_TRACE(concat("step ", step));
    expect_same_report(bf16.step(step), fp32.step(step));
  }
  const HostState found = bf16.state(), expected = fp32.state();
  EXPECT_LE(distance(found.values, expected.values), kTolerance);
  EXPECT_LE(distance(found.moment1, expected.moment1), kTolerance);
  EXPECT_LE(distance(found.moment2, expected.moment2), kTolerance);
}

struct Case {
  Objective objective;
  double activation_dropout;  // without it a device joins GELU to the product before it
};

class PrecisionTest : public ::testing::TestWithParam<Case> {
 protected:
  PrecisionTest() {
    config.pretrain.model.activation_dropout = GetParam().activation_dropout;
    config.optimizer.warmup_steps = 0;
  }
  RunConfig config = small_run(GetParam().objective);
};

TEST_P(PrecisionTest, ThreeStepsOfBf16AreThoseOfFp32) {
  expect_three_same_steps(config);
}

// A device computes attention of such heads in kernels of their own.
TEST(PrecisionOfHeadsOf64, ThreeStepsOfBf16AreThoseOfFp32) {
  RunConfig config = small_run(Objective::electra);
  config.pretrain.model.head_width = 64;
  config.optimizer.warmup_steps = 0;
  expect_three_same_steps(config);
}

TEST_P(PrecisionTest, ResumesBitForBit) {
  PrecisionRun whole = bf16_run(config), first = bf16_run(config), second = bf16_run(config);
  for (int64_t step = 0; step < 3; ++step) whole.step(step);
  for (int64_t step = 0; step < 2; ++step) first.step(step);
  second.resume(first, 2);
  second.step(2);
  EXPECT_TRUE(same_bits(second.state(), whole.state()));
}

// What layers read is what was learnt, rounded; what was learnt has more digits.
TEST_P(PrecisionTest, LayersReadTheRoundedWeights) {
  PrecisionRun run = bf16_run(config);
  for (int64_t step = 0; step < 2; ++step) {
    run.step(step);
    const HostState learnt = run.state();
    const Tensor on_device = run.learner.params().rounded_values();
    const int64_t n = on_device.elements();
    std::vector<BFloat16> read(n);
    Context(kDevice).download(on_device, Tensor(read.data(), {n}, DType::bf16));
    int64_t rounded = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float value = learnt.values.as<float>()[i];
      ASSERT_EQ(read[i].bits, BFloat16(value).bits) << i;
      rounded += float(read[i]) != value;
    }
    EXPECT_GT(rounded, n / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Objectives, PrecisionTest,
                         ::testing::Values(Case{Objective::mlm, 0}, Case{Objective::electra, 0},
                                           Case{Objective::electra, 0.1}),
                         [](const auto& info) {
                           return std::string(info.param.objective == Objective::mlm ? "Mlm"
                                                                                     : "Electra") +
                                  (info.param.activation_dropout > 0 ? "Dropout" : "");
                         });

TEST(PrecisionChoice, IsTheDevicesUnlessConfigured) {
  EXPECT_EQ(storage_dtype(Precision::automatic, Device::cpu), DType::f32);
  EXPECT_EQ(storage_dtype(Precision::automatic, Device::cuda), DType::bf16);
  for (Device device : {Device::cpu, Device::cuda}) {
    EXPECT_EQ(storage_dtype(Precision::fp32, device), DType::f32);
    EXPECT_EQ(storage_dtype(Precision::bf16, device), DType::bf16);
  }
}

class PrecisionTrainer : public LivesTest {
 protected:
  PrecisionTrainer() : LivesTest(Objective::mlm) {}

  Learnt train(const std::string& run, int64_t steps, Precision precision) {
    const Device device = precision == Precision::bf16 ? kDevice : Device::cpu;
    return LivesTest::train(run, steps, device, precision);
  }
};

// The rate's decay depends on the length of the run, so both runs have the same lives.
TEST_F(PrecisionTrainer, ACheckpointOfBf16ResumesExactly) {
  train("halts", 4, Precision::bf16);
  const Learnt halted = train("halts", 5, Precision::bf16);
  Learnt other;
  for (int64_t steps : {4, 5}) other = train("other", steps, Precision::bf16);
  EXPECT_TRUE(same_bits(halted, other));
}

TEST_F(PrecisionTrainer, ARunMovesBetweenPrecisions) {
  Learnt expected;
  for (int64_t steps : {2, 3, 5}) expected = train("stays", steps, Precision::fp32);
  train("moves", 2, Precision::fp32);
  train("moves", 3, Precision::bf16);
  const Learnt found = train("moves", 5, Precision::fp32);
  EXPECT_LE(distance(found.values.data(), expected.values.data(),
                     static_cast<int64_t>(expected.values.size())),
            kTolerance);
}

}  // namespace
}  // namespace funnel::testing
