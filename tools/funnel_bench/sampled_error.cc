// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/sampled_error.h"

#include <cmath>

#include "core/base/random.h"
#include "tools/funnel_bench/random_pool.h"

namespace funnel {
namespace {

constexpr int64_t kSamples = 64;

}  // namespace

void Deviation::add(double found, double expected) {
  difference_ += (found - expected) * (found - expected);
  size_ += expected * expected;
}

// Of zeros that were expected and found the error is none.
double Deviation::relative() const {
  return difference_ == 0 ? 0 : std::sqrt(difference_ / size_);
}

double larger_error(double a, double b) {
  return std::isnan(a) || a > b ? a : b;
}

std::vector<int64_t> sampled_rows(int64_t rows, int64_t count) {
  std::vector<int64_t> sample{0, rows - 1};
  for (int64_t i = 2; i < count; ++i) {
    sample.push_back(int64_t(Site::mix(static_cast<uint64_t>(i)) % uint64_t(rows)));
  }
  return sample;
}

double sampled_error(Context& context, const ConstTensor& found,
                     const std::function<double(int64_t row, int64_t column)>& expected) {
  const int64_t columns = found.cols();
  Deviation deviation;
  int64_t sample = 0;
  for (const int64_t row : sampled_rows(found.rows(), kSamples)) {
    const uint64_t draw = Site::mix(static_cast<uint64_t>(sample) + kSamples);
    const int64_t column = sample == 0   ? 0
                           : sample == 1 ? columns - 1
                                         : int64_t(draw % uint64_t(columns));
    const HostCopy values(context, found.slice(row * columns, {columns}));
    deviation.add(values.value(column), expected(row, column));
    ++sample;
  }
  return deviation.relative();
}

}  // namespace funnel
