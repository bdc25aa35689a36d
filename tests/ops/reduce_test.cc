// SPDX-License-Identifier: Apache-2.0
// Oracles: sums in double in the plainest order.
#include "core/ops/reduce.h"

#include <gtest/gtest.h>

#include "tests/reference/pointwise.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

struct Sizes {
  int64_t rows, cols;
};

class Reduce : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {
 protected:
  const DType dtype = std::get<0>(GetParam());
  const int64_t rows = std::get<1>(GetParam()).rows;
  const int64_t cols = std::get<1>(GetParam()).cols;
  Context& context = context_under_test();
};

TEST_P(Reduce, SumRowsAccumulates) {
  const OwnedTensor x = random_tensor({rows, cols}, dtype, 1, 3);
  const OwnedTensor sums = random_tensor({cols}, dtype, 2);
  const std::vector<double> expected =
      ref::add(sums.values(), ref::sum_rows(x.values(), rows, cols));
  sum_rows(context, x, sums);
  expect_close("sums", sums.values(), expected, tolerance_of(dtype, Kind::row));
}

TEST_P(Reduce, SumPartsIsSumRowsOfEach) {
  const int64_t parts = 5;
  const OwnedTensor x = random_tensor({parts, rows, cols}, dtype, 1, 3);
  const OwnedTensor sums = random_tensor({parts, cols}, dtype, 2);
  const OwnedTensor expected({parts, cols}, dtype, sums.values());
  std::vector<Tensor> to;
  for (int64_t part = 0; part < parts; ++part) {
    sum_rows(context, x.tensor().slice(part * rows * cols, {rows, cols}),
             expected.tensor().slice(part * cols, {cols}));
    to.push_back(sums.tensor().slice(part * cols, {cols}));
  }
  sum_parts(context, x, to);
  EXPECT_TRUE(same_bits(sums, expected));
  to.pop_back();
  EXPECT_THROW(sum_parts(context, x, to), Error);
}

TEST_P(Reduce, SumsOfAllElements) {
  const OwnedTensor x = random_tensor({rows, cols}, dtype, 1, 0.1);
  const OwnedTensor total({1}, dtype), squares({1}, DType::f64);
  sum_all(context, x, -0.5, total);
  sum_squares(context, x, squares);
  const double magnitude = std::sqrt(ref::sum_squares(x.values())) + 1;
  EXPECT_NEAR(total.values()[0], -0.5 * ref::sum_all(x.values()),
              (dtype == DType::f32 ? 1e-7 : 1e-14) * magnitude * 10);
  expect_close("squares", squares.values(), {ref::sum_squares(x.values())}, {1e-13, 0});
}

INSTANTIATE_TEST_SUITE_P(Sizes, Reduce,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64),
                                            ::testing::Values(Sizes{0, 5}, Sizes{1, 1},
                                                              Sizes{3, 31}, Sizes{31, 33},
                                                              Sizes{33, 1000}, Sizes{256, 5},
                                                              Sizes{257, 129}, Sizes{2049, 7})));

TEST(Reduce, RowsOfBf16AreSummedInF32) {
  for (const auto& [rows, cols] : {Sizes{1, 1}, Sizes{31, 33}, Sizes{2049, 7}}) {
    const OwnedTensor x = random_tensor({rows, cols}, DType::bf16, 1, 3);
    const OwnedTensor sums = random_tensor({cols}, DType::f32, 2);
    const std::vector<double> expected =
        ref::add(sums.values(), ref::sum_rows(x.values(), rows, cols));
    sum_rows(context_under_test(), x, sums);
    expect_close("sums", sums.values(), expected, tolerance_of(DType::f32, Kind::row));
  }
}

TEST(Reduce, SumOfFlags) {
  Context& context = context_under_test();
  const OwnedTensor flags = random_integers({5001}, DType::u8, 2, 1);
  for (DType dtype : {DType::f32, DType::f64}) {
    const OwnedTensor total({1}, dtype);
    sum_all(context, flags, 1.0, total);
    EXPECT_EQ(total.values()[0], ref::sum_all(flags.values()));
  }
  const OwnedTensor wide({3}, DType::f64), narrow({1}, DType::f32);
  EXPECT_THROW(sum_all(context, wide, 1.0, narrow), Error);
  EXPECT_THROW(sum_squares(context, wide, narrow), Error);
}

// 100,000 rows of 0.1: adding them one by one in f32 is off by 1 %, the tree by a rounding or two.
TEST(Reduce, ManyRowsLoseNoDigits) {
  Context& context = context_under_test();
  constexpr int64_t kRows = 100000;
  const OwnedTensor x({kRows, 3}, DType::f32, std::vector<double>(3 * kRows, 0.1));
  const OwnedTensor sums = zero_tensor({3}, DType::f32);
  sum_rows(context, x, sums);
  expect_close("sums", sums.values(), std::vector<double>(3, kRows * double{0.1f}), {5e-7, 0});
}

}  // namespace
}  // namespace funnel
