// SPDX-License-Identifier: Apache-2.0
// Oracles: rates of laiguokun/Funnel-Transformer's schedule worked out by hand, and the naive
// reference over every step of a short run.
#include "core/optim/schedule.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/reference/optimizer.h"

namespace funnel {
namespace {

TEST(Schedule, PaperRun) {
  const OptimizerConfig config{.learning_rate = 1e-4, .warmup_steps = 10000};
  const int64_t total = 1000000;
  EXPECT_EQ(learning_rate(config, total, 0), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate(config, total, 1), 1e-8);
  EXPECT_DOUBLE_EQ(learning_rate(config, total, 5000), 5e-5);
  EXPECT_DOUBLE_EQ(learning_rate(config, total, 9999), 9.999e-5);
  EXPECT_DOUBLE_EQ(learning_rate(config, total, 10000), 1e-4);
  EXPECT_NEAR(learning_rate(config, total, 505000), 5e-5, 1e-18);
  EXPECT_NEAR(learning_rate(config, total, 1000000), 0.0, 1e-18);
  EXPECT_NEAR(learning_rate(config, total, 1000001), 0.0, 1e-18);
}

TEST(Schedule, EveryStepAgreesWithReference) {
  for (const bool cosine : {false, true}) {
    for (const double min_ratio : {0.0, 0.1}) {
      for (const int64_t warmup : {0, 1, 7}) {
        const OptimizerConfig config{.learning_rate = 3e-4,
                                     .warmup_steps = warmup,
                                     .decay = cosine ? RateDecay::cosine : RateDecay::linear,
                                     .min_learning_rate_ratio = min_ratio};
        const ref::ScheduleSettings settings{.peak = 3e-4,
                                             .min_ratio = min_ratio,
                                             .warmup_steps = warmup,
                                             .total_steps = 31,
                                             .cosine = cosine};
        for (int64_t step = 0; step < 40; ++step) {
          EXPECT_NEAR(learning_rate(config, 31, step), ref::learning_rate(settings, step), 1e-18)
              << "cosine " << cosine << ", min ratio " << min_ratio << ", warm-up " << warmup
              << ", step " << step;
        }
      }
    }
  }
}

TEST(Schedule, FirstStepMayMove) {
  const OptimizerConfig config{
      .learning_rate = 1e-3, .warmup_steps = 4, .first_step_rate = FirstStepRate::one_step};
  EXPECT_DOUBLE_EQ(learning_rate(config, 8, 0), 0.25e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 8, 3), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 8, 4), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 8, 6), 0.5e-3);
}

// A run that is all warm-up ends at the peak and stays there.
TEST(Schedule, NothingLeftToDecay) {
  const OptimizerConfig config{.learning_rate = 1e-3, .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(learning_rate(config, 4, 3), 0.75e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4, 4), 1e-3);
}

TEST(Schedule, RejectsNegativeStep) {
  EXPECT_THROW(learning_rate(OptimizerConfig(), 10, -1), Error);
}

}  // namespace
}  // namespace funnel
