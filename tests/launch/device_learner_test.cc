// SPDX-License-Identifier: Apache-2.0
// Learning on a CUDA device (the host runtime's), forward, backward and update. Oracles: the same
// steps on the CPU, an undisturbed run for a resumed one, and a run on the CPU for one that moves
// between devices.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/backend/device.h"
#include "parallel/nccl_comm.h"
#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/options.h"
#include "tests/launch/lives_fixture.h"

namespace funnel::testing {
namespace {

constexpr double kTolerance = 1e-5;  // relative, in f32

// Errors count against the largest expected element.
void expect_agreement(const std::string& what, const Tensor& found, const Tensor& expected,
                      double tolerance) {
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double x = expected.as<float>()[i], error = std::abs(found.as<float>()[i] - x);
    largest = std::max(largest, std::abs(x));
    if (!(error <= worst)) worst = error;
  }
  EXPECT_LE(worst, tolerance * largest) << what;
}

void expect_same_report(const StepReport& found, const StepReport& expected) {
  const auto x = found.metrics.to_array(), y = expected.metrics.to_array();
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(x[i], y[i], kTolerance * std::abs(y[i])) << "metric " << i;
  }
  EXPECT_NEAR(found.gradient_norm, expected.gradient_norm, kTolerance * expected.gradient_norm);
  EXPECT_FALSE(found.skipped);
}

class DeviceLearner : public ::testing::TestWithParam<Objective> {
 protected:
  const RunConfig config = small_run(GetParam());
};

TEST_P(DeviceLearner, StartsFromTheSameBits) {
  LearnerRun cpu(config, Device::cpu), cuda(config, Device::cuda);
  EXPECT_TRUE(same_bits(cuda.state().values, cpu.state().values));
  EXPECT_TRUE(same_bits(cuda.state().moment2, cpu.state().moment2));
}

TEST_P(DeviceLearner, ThreeStepsAreThoseOfTheCpu) {
  LearnerRun cpu(config, Device::cpu), cuda(config, Device::cuda);
  for (int64_t step = 0; step < 3; ++step) {
    SCOPED_TRACE(concat("step ", step));
    expect_same_report(cuda.step(step), cpu.step(step));
  }
  const HostState found = cuda.state(), expected = cpu.state();
  expect_agreement("values", found.values, expected.values, kTolerance);
  expect_agreement("moment1", found.moment1, expected.moment1, kTolerance);
  expect_agreement("moment2", found.moment2, expected.moment2, kTolerance);
}

// Given to the device as graphs or kernel by kernel, in whatever order streams work, a step's bits
// are the same, and the host waits once, for the numbers that it reports.
TEST_P(DeviceLearner, RecordedStepsAreThoseOfSingleLaunches) {
  LearnerRun recorded(config, Device::cuda), launched(config, Device::cuda, /*records=*/false);
  for (int64_t step = 0; step < 5; ++step) {
    SCOPED_TRACE(concat("step ", step));
    cudacpu::set_option("streams", "lazy");
    const cudacpu::CallCounts before = cudacpu::call_counts();
    const StepReport found = recorded.step(step);
    const cudacpu::CallCounts after = cudacpu::call_counts();
    cudacpu::set_option("streams", "eager");
    const StepReport expected = launched.step(step);
    EXPECT_EQ(found.metrics.to_array(), expected.metrics.to_array());
    EXPECT_EQ(found.gradient_norm, expected.gradient_norm);
    if (step < 2 || !cudacpu::counts_calls()) continue;
    EXPECT_EQ(after.waits - before.waits, 1);
    const int64_t pieces = 2 * config.train.logical_shards + 1;
    if (step > 2) {
      EXPECT_EQ(after.graph_launches - before.graph_launches, pieces);
    }
    if (step > 3) {
      EXPECT_EQ(after.graph_instantiations, before.graph_instantiations);
    }
  }
  EXPECT_TRUE(same_bits(recorded.state(), launched.state()));
}

TEST_P(DeviceLearner, EvaluatesAsTheCpu) {
  LearnerRun cpu(config, Device::cpu), cuda(config, Device::cuda);
  const auto found = cuda.learner.evaluate(1, cuda.feed.source()).to_array();
  const auto expected = cpu.learner.evaluate(1, cpu.feed.source()).to_array();
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], kTolerance * std::abs(expected[i])) << "metric " << i;
  }
}

TEST_P(DeviceLearner, ResumesBitForBit) {
  LearnerRun whole(config, Device::cuda), first(config, Device::cuda), second(config, Device::cuda);
  for (int64_t step = 0; step < 3; ++step) whole.step(step);
  for (int64_t step = 0; step < 2; ++step) first.step(step);
  second.resume(first, 2);
  second.step(2);
  EXPECT_TRUE(same_bits(second.state(), whole.state()));
}

TEST_P(DeviceLearner, AllocatesNothingAfterTheFirstSteps) {
  LearnerRun run(config, Device::cuda);
  for (int64_t step = 0; step < 2; ++step) run.step(step);
  const int64_t before = Buffer::allocations();
  run.step(2);
  EXPECT_EQ(Buffer::allocations(), before);
}

INSTANTIATE_TEST_SUITE_P(Objectives, DeviceLearner,
                         ::testing::Values(Objective::mlm, Objective::electra),
                         [](const auto& info) {
                           return info.param == Objective::mlm ? "Mlm" : "Electra";
                         });

// Two ranks with a device each: the bits of one rank, and one wait of the host in a step, though
// gradients are summed and replicas compared (every tenth step).
TEST(DeviceRanks, WaitOnceInAStep) {
  const RunConfig config = small_run(Objective::electra);
  cudacpu::set_option("devices", "2");
  std::array<Learnt, 2> learnt;
  run_on_threads(2, [&](Comm& host) {
    select_cuda_device(host.rank());
    const auto comm = make_nccl_comm(std::make_unique<BorrowedComm>(host), {.host_name = "here"});
    Learner learner(*comm, config, Device::cuda);
    MemoryFeed feed(config, learner.shards(), 3);
    for (const int64_t step : {6, 7, 8, 9, 10, 11}) {
      const int64_t before = cudacpu::call_counts().waits;
      const StepReport report = learner.train_step(step, feed.source(), false);
      if (step > 7) {
        EXPECT_EQ(cudacpu::call_counts().waits - before, 1) << "step " << step;
      }
      EXPECT_TRUE(report.replicas_agree);
      learnt[host.rank()].add(report);
    }
    learner.download_state();
    const HostState state = learner.host_state();
    const float* values = state.values.as<float>();
    learnt[host.rank()].values.assign(values, values + state.values.elements());
    host.barrier();  // nobody frees while another still counts
  });
  cudacpu::set_option("devices", "1");
  EXPECT_TRUE(same_bits(learnt[0], learnt[1]));
  Learnt expected;
  select_cuda_device(0);
  LearnerRun one(config, Device::cuda);
  for (const int64_t step : {6, 7, 8, 9, 10, 11}) expected.add(one.step(step));
  const HostState state = one.state();
  const float* values = state.values.as<float>();
  expected.values.assign(values, values + state.values.elements());
  EXPECT_TRUE(same_bits(learnt[0], expected));
}

class DeviceTrainer : public LivesTest {
 protected:
  DeviceTrainer() : LivesTest(Objective::electra) {}
};

TEST_F(DeviceTrainer, ARunMovesBetweenDevices) {
  std::vector<float> expected;
  for (int64_t steps : {2, 3, 5}) expected = train("stays", steps, Device::cpu).values;
  train("moves", 2, Device::cpu);
  train("moves", 3, Device::cuda);
  const std::vector<float> found = train("moves", 5, Device::cpu).values;
  double largest = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
  }
  EXPECT_LE(worst, kTolerance * largest);
}

}  // namespace
}  // namespace funnel::testing
