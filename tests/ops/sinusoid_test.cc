// SPDX-License-Identifier: Apache-2.0
// Oracles: sinusoids worked out by hand for width 8, the naive reference, and the positions that
// tokens carry through three blocks.
#include "core/ops/sinusoid.h"

#include <gtest/gtest.h>

#include "tests/reference/positions.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

TEST(Sinusoid, WorkedExample) {
  Context& context = context_under_test();
  const OwnedTensor table({4, 8}, DType::f64);
  sinusoid_table(context, {.first_distance = 1, .step = 1, .table = table});
  const std::vector<double> values = table.values();
  const double plus_one[] = {.841471, .099833, .010000, .001000,
                             .540302, .995004, .999950, 1.000000};
  const double minus_two[] = {-.909297, -.198669, -.019999, -.002000,
                              -.416147, .980067,  .999800,  .999998};
  for (int k = 0; k < 8; ++k) {
    EXPECT_NEAR(values[k], plus_one[k], 1e-6) << k;
    EXPECT_NEAR(values[8 + k], k < 4 ? 0.0 : 1.0, 0.0) << k;
    EXPECT_NEAR(values[24 + k], minus_two[k], 1e-6) << k;
  }
}

TEST(Sinusoid, LastFrequency) {
  Context& context = context_under_test();
  for (const auto& [width, last] : {std::pair{768, 1.0243e-4}, std::pair{1024, 1.0182e-4}}) {
    const OwnedTensor table({1, width}, DType::f64);
    sinusoid_table(context, {.first_distance = 1, .table = table});
    EXPECT_NEAR(table.values()[width / 2 - 1], last, 5e-9);
  }
}

TEST(Sinusoid, AgreesWithReference) {
  Context& context = context_under_test();
  for (const DType dtype : {DType::f32, DType::f64}) {
    // Angles of hundreds carry their rounding, in the op and in the reference.
    const double error = dtype == DType::f32 ? 1e-7 : 2e-13;
    for (const auto& [rows, width] : {std::pair{1, 2}, std::pair{31, 6}, std::pair{33, 62},
                                      std::pair{1024, 66}, std::pair{3, 1000}}) {
      for (const int64_t step : {1, 2, 4}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << width << ", step " << step);
        const OwnedTensor table({rows, width}, dtype);
        sinusoid_table(context, {.first_distance = 512, .step = step, .table = table});
        expect_close("table", table.values(), ref::sinusoid_table(512, step, rows, width),
                     {0, error});
      }
    }
  }
}

// Column c of query i and key j of the first self-attention: c = (seq - i) + j holds i - j.
TEST(Sinusoid, RowsOfSelfAttention) {
  Context& context = context_under_test();
  const int64_t seq = 9, width = 10;
  const OwnedTensor table({2 * seq, width}, DType::f64);
  sinusoid_table(context, {.first_distance = seq, .step = 1, .table = table});
  const ref::Integers positions = ref::block_positions(seq, 0, true, true);
  for (int64_t i = 0; i < seq; ++i) {
    for (int64_t j = 0; j < seq; ++j) {
      const double delta = static_cast<double>(positions[i] - positions[j]);
      const Tensor row = table.tensor().slice((seq - i + j) * width, {width});
      expect_close("row", values_of(row), ref::sinusoid(delta, width), {0, 1e-15});
    }
  }
}

TEST(Sinusoid, RejectsOddWidth) {
  Context& context = context_under_test();
  const OwnedTensor table({3, 7}, DType::f32);
  EXPECT_THROW(sinusoid_table(context, {.table = table}), Error);
}

// Tables of different blocks drop the same entries of the same distance.
TEST(DropByDistance, TablesShareOneMask) {
  Context& context = context_under_test();
  const int64_t width = 34, offset = 64;
  const Dropout dropout(0.3, RandomStream(7, Site("positions"), 3), 0);
  const auto ones = [&](int64_t rows) {
    return OwnedTensor({rows, width}, DType::f64, std::vector<double>(rows * width, 1.0));
  };
  const OwnedTensor fine = ones(64), coarse = ones(16);
  drop_by_distance(context, dropout, {.first_distance = 32, .step = 1, .table = fine}, offset);
  drop_by_distance(context, dropout, {.first_distance = 32, .step = 4, .table = coarse}, offset);
  const std::vector<double> fine_values = fine.values(), coarse_values = coarse.values();
  for (int64_t row = 0; row < 64; ++row) {
    for (int64_t k = 0; k < width; ++k) {
      const float factor = dropout.factor((32 - row + offset) * width + k);
      EXPECT_EQ(fine_values[row * width + k], factor) << row << ", " << k;
      if (row % 4 == 0) {
        EXPECT_EQ(coarse_values[row / 4 * width + k], factor);
      }
    }
  }
}

TEST(DropByDistance, InactiveLeavesTheTable) {
  Context& context = context_under_test();
  const OwnedTensor table = random_tensor({5, 6}, DType::f32, 1);
  const std::vector<double> before = table.values();
  drop_by_distance(context, Dropout(), {.first_distance = 2, .step = 1, .table = table}, 3);
  EXPECT_EQ(table.values(), before);
}

TEST(DropByDistance, RejectsDistancesBelowTheOffset) {
  Context& context = context_under_test();
  const OwnedTensor table = random_tensor({5, 6}, DType::f32, 1);
  const Dropout dropout(0.5, RandomStream(7, Site("positions"), 3), 0);
  EXPECT_THROW(
      drop_by_distance(context, dropout, {.first_distance = 2, .step = 1, .table = table}, 1),
      Error);
}

}  // namespace
}  // namespace funnel::testing
