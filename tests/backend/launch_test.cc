// SPDX-License-Identifier: Apache-2.0
// Oracles: the contract of launch.h; sums in long double.
#include "core/backend/launch.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/random_tensor.h"

namespace funnel {
namespace {

using namespace funnel::testing;

constexpr int64_t kSizes[] = {1, 2, 31, 32, 33, 63, 64, 65, 1000};

TEST(ForEach, VisitsEveryElementOnce) {
  Context context(Device::cpu);
  for (int64_t n : kSizes) {
    std::vector<int> visits(n);
    int* count = visits.data();
    for_each(context, n, [=](int64_t i) { ++count[i]; });
    EXPECT_EQ(visits, std::vector<int>(n, 1)) << n;
  }
  for_each(context, 0, [](int64_t) { FAIL(); });
}

// A row functor that uses all a team offers.
struct NormaliseRow {
  const float* x;
  int64_t cols;
  float* y;
  float* peak;
  int* leaders;

  template <class Team>
  void operator()(int64_t row, const Team& team) const {
    const float* in = x + row * cols;
    float* out = y + row * cols;
    const float largest = team.max(cols, [=](int64_t i) { return in[i]; });
    team.each(cols, [=](int64_t i) { out[i] = in[i] - largest; });
    // Reads what other members wrote, so a team that is not in step after each() is found out.
    const int64_t last = cols - 1;
    const float total = team.sum(cols, [=](int64_t i) { return out[last - i]; });
    team.each(cols, [=](int64_t i) { out[i] /= total; });
    if (team.leader()) {
      peak[row] = largest;
      ++leaders[row];
    }
  }
};

TEST(ForEachRow, TeamsCooperate) {
  Context context(Device::cpu);
  constexpr int64_t kRows = 7;
  for (int64_t cols : kSizes) {
    const OwnedTensor x = random_tensor({kRows, cols}, DType::f32, 1), y({kRows, cols}, DType::f32);
    const OwnedTensor peak({kRows}, DType::f32);
    std::vector<int> leaders(kRows);
    for_each_row(context, kRows,
                 NormaliseRow{x.tensor().as<float>(), cols, y.tensor().as<float>(),
                              peak.tensor().as<float>(), leaders.data()});
    EXPECT_EQ(leaders, std::vector<int>(kRows, 1));
    for (int64_t row = 0; row < kRows; ++row) {
      const float* in = x.tensor().as<float>() + row * cols;
      const float* out = y.tensor().as<float>() + row * cols;
      EXPECT_EQ(peak.tensor().as<float>()[row], *std::max_element(in, in + cols));
      if (cols == 1) continue;  // nothing is left to normalise
      double total = 0;
      for (int64_t i = 0; i < cols; ++i) total += out[i];
      EXPECT_NEAR(total, 1, 1e-5);
    }
  }
}

TEST(SerialTeam, SumIsAccurateAndMaxExact) {
  const SerialTeam team;
  for (int64_t n : {int64_t{0}, int64_t{100}, int64_t{30522}}) {
    const std::vector<double> values = random_values(n, 1, 1);
    const double* x = values.data();
    long double exact = 0;
    for (double value : values) exact += value;
    EXPECT_NEAR(team.sum(n, [=](int64_t i) { return x[i]; }), static_cast<double>(exact), 1e-10);
    EXPECT_NEAR(team.sum(n, [=](int64_t i) { return static_cast<float>(x[i]); }),
                static_cast<double>(exact), 2e-5 * std::sqrt(static_cast<double>(n) + 1));
    if (n > 0) {
      EXPECT_EQ(team.max(n, [=](int64_t i) { return x[i]; }), *std::max_element(x, x + n));
    }
  }
}

// The order of a sum depends on n alone, never on where the row begins in memory.
TEST(SerialTeam, SumHasTheSameBitsAtEveryAlignment) {
  const SerialTeam team;
  const std::vector<double> values = random_values(777, 1);
  std::vector<float> memory(800);
  float first = 0;
  for (int64_t offset = 0; offset < 17; ++offset) {
    float* x = memory.data() + offset;
    std::copy(values.begin(), values.end(), x);
    const float total = team.sum(777, [=](int64_t i) { return x[i] * x[i]; });
    if (offset == 0) first = total;
    EXPECT_EQ(total, first) << "offset " << offset;
  }
}

}  // namespace
}  // namespace funnel
