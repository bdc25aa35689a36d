// SPDX-License-Identifier: Apache-2.0
// Work that is recorded and given to a device as a graph, under the host runtime, whatever the
// order of its streams. Oracle: what the same work gives when it is launched piece by piece.
#include "core/backend/recorded_work.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/backend/buffer.h"
#include "core/backend/device.h"
#include "core/ops/elementwise.h"
#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/options.h"

namespace funnel::testing {
namespace {

constexpr int64_t kCount = 1000;

class RecordedWorkTest : public ::testing::TestWithParam<const char*> {
 protected:
  RecordedWorkTest() {
    cudacpu::set_option("streams", GetParam());
    select_cuda_device(0);
    context_ = std::make_unique<Context>(Device::cuda);
    memory_ = Buffer(Device::cuda, kCount * 8);
    values_ = memory_.tensor({kCount}, DType::f64);
    work_ = std::make_unique<RecordedWork>(*context_);
  }
  ~RecordedWorkTest() override { cudacpu::set_option("streams", "eager"); }

  // The value, doubled so many times.
  void issue(double value, int times = 2) {
    fill(*context_, value, values_);
    for (int i = 0; i < times; ++i) add_scaled(*context_, values_, values_, 1.0, values_);
  }
  double read() {
    double value = 0;
    context_->download(values_.slice(kCount - 1, {1}), Tensor(&value, {1}, DType::f64));
    return value;
  }

  std::unique_ptr<Context> context_;
  Buffer memory_;
  Tensor values_;
  std::unique_ptr<RecordedWork> work_;
};

TEST_P(RecordedWorkTest, FollowsItsHostValues) {
  const cudacpu::CallCounts before = cudacpu::call_counts();
  for (int step = 1; step <= 5; ++step) {
    const int64_t waits = cudacpu::call_counts().waits;
    work_->run([&] { issue(step); });
    EXPECT_EQ(cudacpu::call_counts().waits, waits);
    EXPECT_EQ(read(), 4.0 * step);
  }
  EXPECT_EQ(work_->launches(), 4);  // all but the first
  EXPECT_EQ(work_->operations(), 3);
  EXPECT_EQ(work_->refusal(), "");
  EXPECT_EQ(cudacpu::call_counts().graph_launches, before.graph_launches + 4);
  EXPECT_EQ(cudacpu::call_counts().graph_instantiations, before.graph_instantiations + 1);
}

TEST_P(RecordedWorkTest, MayFollowItselfWithoutAWait) {
  Buffer memory(Device::cuda, 8);
  const Tensor sum = memory.tensor({1}, DType::f64);
  context_->fill_zero(sum);
  for (int step = 1; step <= 4; ++step) {
    work_->run([&] {
      issue(step);
      add_scaled(*context_, sum, values_.slice(0, {1}), 1.0, sum);
    });
  }
  EXPECT_EQ(work_->launches(), 3);
  double total = 0;
  context_->download(sum, Tensor(&total, {1}, DType::f64));
  EXPECT_EQ(total, 4.0 * (1 + 2 + 3 + 4));
}

TEST_P(RecordedWorkTest, WorkOfAnotherShapeIsRecordedAnew) {
  const cudacpu::CallCounts before = cudacpu::call_counts();
  for (const int times : {1, 1, 3, 3, 0}) {
    work_->run([&] { issue(3.0, times); });
    EXPECT_EQ(read(), 3.0 * (1 << times));
  }
  EXPECT_EQ(work_->launches(), 4);
  EXPECT_EQ(cudacpu::call_counts().graph_instantiations, before.graph_instantiations + 3);
}

TEST_P(RecordedWorkTest, StartsWhenMemoryHasSettled) {
  for (int step = 0; step < 6; ++step) {
    work_->run([&] { issue(step); });
    if (step == 2) Buffer(Device::cuda, 8);
    EXPECT_EQ(work_->launches(), step < 3 ? step : step - 1);
  }
}

TEST_P(RecordedWorkTest, WhatWaitsIsLaunchedPieceByPiece) {
  for (int step = 1; step <= 4; ++step) {
    double seen = 0;
    work_->run([&] {
      issue(step);
      seen = read();
      fill(*context_, seen + 1, values_);
    });
    EXPECT_EQ(seen, 4.0 * step);
    EXPECT_EQ(read(), 4.0 * step + 1);
  }
  EXPECT_EQ(work_->launches(), 0);
  EXPECT_TRUE(work_->refusal().starts_with("download: work that is recorded cannot be waited for"))
      << work_->refusal();
}

TEST_P(RecordedWorkTest, AnErrorOfTheWorkItselfIsThrown) {
  const auto fail = [&] {
    issue(1.0);
    throw Error("no such word");
  };
  work_->run([&] { issue(1.0); });
  EXPECT_THROW(work_->run(fail), Error);
  EXPECT_EQ(read(), 4.0);
}

INSTANTIATE_TEST_SUITE_P(Streams, RecordedWorkTest, ::testing::Values("eager", "lazy", "newest"));

TEST(RecordedWorkOnTheCpu, IsDoneAtOnce) {
  Context context(Device::cpu);
  RecordedWork work(context);
  int runs = 0;
  for (int step = 0; step < 3; ++step) work.run([&] { ++runs; });
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(work.launches(), 0);
}

}  // namespace
}  // namespace funnel::testing
