// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/embedding.h; gather and scatter are each
// other's transpose.
#include "core/ops/embedding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/reference/embedding.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

struct Sizes {
  int64_t rows, cols, n;
};

class Embedding : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {};

TEST_P(Embedding, MatchesReference) {
  const auto [dtype, sizes] = GetParam();
  const auto [rows, cols, n] = sizes;
  Context& context = context_under_test();
  const OwnedTensor indices = random_integers({n}, DType::i32, rows, 3);
  const OwnedTensor table = random_tensor({rows, cols}, dtype, 1), y({n, cols}, dtype);
  gather_rows(context, table, indices, y);
  EXPECT_EQ(y.values(), ref::gather_rows(table.values(), integers_of(indices), cols));

  const OwnedTensor dy = random_tensor({n, cols}, dtype, 2);
  const OwnedTensor dtable = random_tensor({rows, cols}, compute_dtype(dtype), 4);
  std::vector<double> expected = dtable.values();
  const std::vector<double> added =
      ref::scatter_add_rows(dy.values(), integers_of(indices), rows, cols);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += added[i];
  scatter_add_rows(context, dy, indices, dtable);
  expect_close("dtable", dtable.values(), expected, tolerance_of(compute_dtype(dtype), Kind::row));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Embedding,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                                            ::testing::Values(Sizes{1, 1, 1}, Sizes{31, 33, 0},
                                                              Sizes{5, 31, 1000},
                                                              Sizes{30522, 33, 64})));

// Activations' gradients go back to where activations came from in their own type.
TEST(Embedding, Bf16IsAlsoScatteredToBf16) {
  const OwnedTensor dy({3, 2}, DType::bf16, {1, 2, 0.5, 0.25, 4, 8});
  const OwnedTensor rows({3}, DType::i32, {2, 0, 2});
  const OwnedTensor dx = zero_tensor({4, 2}, DType::bf16);
  scatter_add_rows(context_under_test(), dy, rows, dx);
  EXPECT_EQ(dx.values(), (std::vector<double>{0.5, 0.25, 0, 0, 5, 10, 0, 0}));
}

// The sum over one row is taken in the order of n: a large value first swallows the small ones,
// which any other order would keep.
TEST(Embedding, ScatterAddsInOrder) {
  Context& context = context_under_test();
  const OwnedTensor dy({4, 1}, DType::f32, {1e8, 1, 1, -1e8});
  const OwnedTensor indices({4}, DType::i32, {2, 2, 2, 2});
  const OwnedTensor dtable = zero_tensor({3, 1}, DType::f32);
  scatter_add_rows(context, dy, indices, dtable);
  EXPECT_EQ(dtable.values(), (std::vector<double>{0, 0, 0}));
}

// The order of an index's rows does not depend on other indices: with and without them, and
// wherever they lie, it gets the same bits, those of sums by 64.
TEST(Embedding, FrequentIndicesAreAddedBy64) {
  Context& context = context_under_test();
  constexpr int64_t kCols = 3;
  for (const int64_t count : {63, 64, 65, 127, 128, 129, 1000}) {
    const std::vector<double> rows = random_tensor({count, kCols}, DType::f32, count).values();
    std::vector<float> expected(kCols);
    for (int64_t first = 0; first < count; first += 64) {
      for (int64_t c = 0; c < kCols; ++c) {
        float sum = first == 0 ? expected[c] : 0;
        for (int64_t i = first; i < std::min(first + 64, count); ++i) {
          sum += static_cast<float>(rows[i * kCols + c]);
        }
        expected[c] = first == 0 ? sum : expected[c] + sum;
      }
    }
    for (const int64_t others : {0, 1, 3}) {  // before each row of index 5, of indices around it
      std::vector<double> indices, dy;
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t other = 0; other < std::min<int64_t>(others, i + 1); ++other) {
          indices.push_back((i + other) % 2 == 0 ? 4 : 6 + other % 3);
          dy.insert(dy.end(), kCols, 0.25);
        }
        indices.push_back(5);
        dy.insert(dy.end(), rows.begin() + i * kCols, rows.begin() + (i + 1) * kCols);
      }
      const auto n = static_cast<int64_t>(indices.size());
      const OwnedTensor dtable = zero_tensor({10, kCols}, DType::f32);
      scatter_add_rows(context, OwnedTensor({n, kCols}, DType::f32, dy),
                       OwnedTensor({n}, DType::i32, indices), dtable);
      const std::vector<double> found = dtable.values();
      for (int64_t c = 0; c < kCols; ++c) {
        EXPECT_EQ(found[5 * kCols + c], expected[c]) << count << " rows, " << others << " others";
      }
    }
  }
}

// On the CPU it is named; on a device its row becomes NaN, and adds nothing to the table.
TEST(Embedding, IndexOutsideTheTable) {
  Context& context = context_under_test();
  const OwnedTensor table = random_tensor({30, 2}, DType::f32, 1), y({6, 2}, DType::f32);
  const std::vector<double> before = table.values();
  for (double bad : {31.0, 30.0, -1.0}) {
    const OwnedTensor indices({6}, DType::i32, {0, 29, 3, 3, bad, bad});
    const OwnedTensor dtable({30, 2}, DType::f32, before);
    if (device_under_test() == Device::cpu) {
      const std::string found =
          "index " + std::to_string(static_cast<int>(bad)) + " of row 4 leaves a table of 30";
      EXPECT_NE(message_of([&] { gather_rows(context, table, indices, y); }).find(found),
                std::string::npos);
      EXPECT_NE(message_of([&] { scatter_add_rows(context, y, indices, dtable); }).find(found),
                std::string::npos);
      EXPECT_EQ(dtable.values(), before);
    } else {
      gather_rows(context, table, indices, y);
      const std::vector<double> rows = y.values();
      for (int i = 0; i < 12; ++i) EXPECT_EQ(std::isnan(rows[i]), i >= 8) << i;
      scatter_add_rows(context, y, indices, dtable);
      for (double value : dtable.values()) EXPECT_TRUE(std::isfinite(value));
    }
  }
}

TEST(Embedding, FlattenPositions) {
  Context& context = context_under_test();
  const OwnedTensor positions = random_integers({3, 5}, DType::i32, 17, 1);
  const OwnedTensor rows({15}, DType::i32);
  flatten_positions(context, positions, 17, rows);
  EXPECT_EQ(integers_of(rows), ref::flatten_positions(integers_of(positions), 3, 5, 17));
  EXPECT_THROW(flatten_positions(context, positions, int64_t{1} << 30, rows), Error);
  for (const int32_t outside : {-1, 17}) {
    const OwnedTensor one({1, 1}, DType::i32), row({1}, DType::i32);
    set_value(one, 0, outside);
    if (device_under_test() == Device::cpu) {
      EXPECT_THROW(flatten_positions(context, one, 17, row), Error) << outside;
    }
  }
}

}  // namespace
}  // namespace funnel
