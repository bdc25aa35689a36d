// SPDX-License-Identifier: Apache-2.0
// Teams of a CUDA device, a warp and a block a row. Oracles: the contract of launch.h; sums in long
// double. Under the host runtime every access is also watched for races, bounds and memory that
// nobody has written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/backend/launch.h"
#include "tests/support/random_tensor.h"

namespace funnel {
namespace {

using namespace funnel::testing;

constexpr int64_t kSizes[] = {1, 2, 31, 32, 33, 63, 65, 255, 256, 257, 1000, 4099};
constexpr int64_t kWarpRow = 0, kBlockRow = cuda::kLongRow;

struct CountVisit {
  int32_t* visits;
  FUNNEL_HD void operator()(int64_t i) const { ++visits[i]; }
};

TEST(DeviceForEach, VisitsEveryElementOnce) {
  Context& context = context_under_test();
  for (int64_t n : {int64_t{1}, int64_t{255}, int64_t{256}, int64_t{257}, int64_t{70001}}) {
    const OwnedTensor visits = zero_tensor({n}, DType::i32);
    for_each(context, n, CountVisit{visits.tensor().as<int32_t>()});
    EXPECT_EQ(visits.values(), std::vector<double>(n, 1)) << n;
  }
  for_each(context, 0, CountVisit{nullptr});
}

// A row functor that uses all a team offers.
template <class T>
struct NormaliseRow {
  const T* x;
  int64_t cols;
  T* y;
  T* peak;
  int32_t* leaders;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const T* in = x + row * cols;
    T* out = y + row * cols;
    const T largest = team.max(cols, [=](int64_t i) { return in[i]; });
    team.each(cols, [=](int64_t i) { out[i] = in[i] - largest; });
    // Reads what other members wrote, so a team that is not in step after each() is found out.
    const int64_t last = cols - 1;
    const T total = team.sum(cols, [=](int64_t i) { return out[last - i]; });
    team.each(cols, [=](int64_t i) { out[i] /= total; });
    if (team.leader()) {
      peak[row] = largest;
      ++leaders[row];
    }
  }
};

class DeviceTeams : public ::testing::TestWithParam<std::tuple<DType, int64_t>> {
 protected:
  const DType dtype = std::get<0>(GetParam());
  const int64_t row_length = std::get<1>(GetParam());
  Context& context = context_under_test();

  template <class T>
  void check_rows(int64_t rows, int64_t cols) {
    const OwnedTensor x = random_tensor({rows, cols}, dtype, 1), y({rows, cols}, dtype);
    const OwnedTensor peak({rows}, dtype), leaders = zero_tensor({rows}, DType::i32);
    for_each_row(context, rows,
                 NormaliseRow<T>{x.tensor().as<T>(), cols, y.tensor().as<T>(),
                                 peak.tensor().as<T>(), leaders.tensor().as<int32_t>()},
                 row_length);
    EXPECT_EQ(leaders.values(), std::vector<double>(rows, 1));
    const std::vector<double> in = x.values(), out = y.values(), peaks = peak.values();
    for (int64_t row = 0; row < rows; ++row) {
      const auto first = in.begin() + row * cols;
      const double largest = *std::max_element(first, first + cols);
      EXPECT_EQ(peaks[row], largest);
      if (cols == 1) continue;  // nothing is left to normalise
      long double total = 0;
      for (int64_t i = 0; i < cols; ++i) total += first[i] - largest;
      for (int64_t i = 0; i < cols; ++i) {
        const double expected = (first[i] - largest) / static_cast<double>(total);
        ASSERT_NEAR(out[row * cols + i], expected, dtype == DType::f32 ? 1e-6 : 1e-15) << i;
      }
    }
  }
};

TEST_P(DeviceTeams, Cooperate) {
  for (int64_t cols : kSizes) {
    SCOPED_TRACE(cols);
    const int64_t rows = cols > 1000 ? 3 : 13;
    with_float_type(dtype, [&](auto zero) { check_rows<decltype(zero)>(rows, cols); });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceTeams,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64),
                                            ::testing::Values(kWarpRow, kBlockRow)));

struct SumRow {
  const float* x;
  int64_t cols;
  float* sums;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const float* in = x + row * cols;
    const float sum = team.sum(cols, [=](int64_t i) { return in[i] * in[i]; });
    if (team.leader()) sums[row] = sum;
  }
};

// The order of a sum depends on n alone: not on which of how many rows it is.
TEST(DeviceTeam, SumHasTheSameBitsInEveryRow) {
  constexpr int64_t kCols = 777, kRows = 37;
  const std::vector<double> row = random_values(kCols, 1);
  std::vector<double> rows;
  for (int64_t i = 0; i < kRows; ++i) rows.insert(rows.end(), row.begin(), row.end());
  const OwnedTensor x({kRows, kCols}, DType::f32, rows);
  for (int64_t row_length : {kWarpRow, kBlockRow}) {
    const OwnedTensor sums({kRows}, DType::f32), alone({1}, DType::f32);
    for_each_row(context_under_test(), kRows,
                 SumRow{x.tensor().as<float>(), kCols, sums.tensor().as<float>()}, row_length);
    for_each_row(context_under_test(), 1,
                 SumRow{x.tensor().as<float>(), kCols, alone.tensor().as<float>()}, row_length);
    EXPECT_EQ(sums.values(), std::vector<double>(kRows, alone.values()[0]));
  }
}

struct LargestKeyRow {
  const int32_t* x;
  int64_t cols;
  double* found;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int32_t* in = x + row * cols;
    const uint64_t best =
        team.max(cols, [=](int64_t i) { return uint64_t{1} << 40 | uint64_t(in[i]); });
    if (team.leader()) found[row] = static_cast<double>(best);
  }
};

TEST(DeviceTeam, MaximumOfWideIntegers) {
  constexpr int64_t kCols = 1001, kRows = 5;
  const OwnedTensor x = random_integers({kRows, kCols}, DType::i32, 1 << 30, 1);
  const std::vector<double> values = x.values();
  for (int64_t row_length : {kWarpRow, kBlockRow}) {
    const OwnedTensor found({kRows}, DType::f64);
    for_each_row(context_under_test(), kRows,
                 LargestKeyRow{x.tensor().as<int32_t>(), kCols, found.tensor().as<double>()},
                 row_length);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto first = values.begin() + row * kCols;
      EXPECT_EQ(found.values()[row], 0x1p40 + *std::max_element(first, first + kCols));
    }
  }
}

}  // namespace
}  // namespace funnel
