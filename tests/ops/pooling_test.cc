// SPDX-License-Identifier: Apache-2.0
// Oracles: explicit lists of window members (tests/reference/pooling.h), pooled lengths worked out
// by hand for the published models, and central differences.
#include "core/ops/pooling.h"

#include <gtest/gtest.h>

#include "tests/reference/pooling.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

std::vector<PoolWindows> modes(int64_t seq) {
  return {{seq, true, true}, {seq, true, false}, {seq, false, true}, {seq, false, false}};
}

std::vector<ref::Integers> reference_windows(const PoolWindows& windows) {
  return ref::pool_windows(windows.seq, windows.separate_cls, windows.truncate);
}

std::string describe(const PoolWindows& windows) {
  return "seq " + std::to_string(windows.seq) + (windows.separate_cls ? ", separate CLS" : "") +
         (windows.truncate ? ", truncate" : "");
}

// As the reference has it: truncation is ignored without a separate CLS.
TEST(PoolWindows, EveryWindowAgreesWithEnumeration) {
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const PoolWindows& windows : modes(seq)) {
      SCOPED_TRACE(describe(windows));
      const std::vector<ref::Integers> expected = reference_windows(windows);
      ASSERT_EQ(windows.pooled(), static_cast<int64_t>(expected.size()));
      ref::Integers window_of(seq, -1);
      for (int64_t w = 0; w < windows.pooled(); ++w) {
        EXPECT_EQ(windows.first(w), expected[w].front()) << "window " << w;
        EXPECT_EQ(windows.last(w), expected[w].back()) << "window " << w;
        for (int64_t t : expected[w]) window_of[t] = w;
      }
      for (int64_t t = 0; t < seq; ++t) {
        EXPECT_EQ(windows.window_of(t), window_of[t]) << "position " << t;
      }
    }
  }
}

std::vector<int64_t> lengths(int64_t seq, bool separate_cls, bool truncate) {
  std::vector<int64_t> all{seq};
  for (int block = 1; block < 3; ++block) {
    all.push_back(PoolWindows{all.back(), separate_cls, truncate}.pooled());
  }
  return all;
}

TEST(PoolWindows, LengthsOfThreeBlocks) {
  using Lengths = std::vector<int64_t>;
  EXPECT_EQ(lengths(512, true, true), (Lengths{512, 256, 128}));
  EXPECT_EQ(lengths(128, true, true), (Lengths{128, 64, 32}));
  EXPECT_EQ(lengths(512, true, false), (Lengths{512, 257, 129}));
  EXPECT_EQ(lengths(128, true, false), (Lengths{128, 65, 33}));
  EXPECT_EQ(lengths(8, true, true), (Lengths{8, 4, 2}));
  EXPECT_EQ(lengths(8, true, false), (Lengths{8, 5, 3}));
  EXPECT_EQ(lengths(8, false, true), (Lengths{8, 4, 2}));
  EXPECT_EQ(lengths(7, true, true), (Lengths{7, 4, 2}));
  EXPECT_EQ(lengths(9, true, true), (Lengths{9, 5, 3}));
  EXPECT_EQ(lengths(11, true, true), (Lengths{11, 6, 3}));
  EXPECT_EQ(lengths(12, true, true), (Lengths{12, 6, 3}));
  EXPECT_EQ(lengths(16, true, true), (Lengths{16, 8, 4}));
  EXPECT_EQ(lengths(7, true, false), (Lengths{7, 4, 3}));
  EXPECT_EQ(lengths(9, true, false), (Lengths{9, 5, 3}));
  EXPECT_EQ(lengths(12, true, false), (Lengths{12, 7, 4}));
}

// Positions that pooled tokens carry (their windows' first members, chained), for eight tokens and
// three blocks; CLS, whose position is irrelevant, left out.
TEST(PoolWindows, FirstMembersOfChainedBlocks) {
  const auto positions = [](bool separate_cls, bool truncate, int blocks) {
    ref::Integers carried{0, 1, 2, 3, 4, 5, 6, 7};
    for (int block = 0; block < blocks; ++block) {
      const PoolWindows windows{static_cast<int64_t>(carried.size()), separate_cls, truncate};
      ref::Integers next;
      for (int64_t w = 0; w < windows.pooled(); ++w) next.push_back(carried[windows.first(w)]);
      carried = next;
    }
    return ref::Integers(carried.begin() + (separate_cls ? 1 : 0), carried.end());
  };
  EXPECT_EQ(positions(true, true, 1), (ref::Integers{1, 3, 5}));
  EXPECT_EQ(positions(true, true, 2), (ref::Integers{1}));
  EXPECT_EQ(positions(true, false, 1), (ref::Integers{1, 3, 5, 7}));
  EXPECT_EQ(positions(true, false, 2), (ref::Integers{1, 5}));
  EXPECT_EQ(positions(false, true, 1), (ref::Integers{0, 2, 4, 6}));
  EXPECT_EQ(positions(false, true, 2), (ref::Integers{0, 4}));
}

struct Case {
  PoolWindows windows;
  int64_t batch, width;
  DType dtype;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (const int64_t seq : {1, 2, 3, 31, 32, 33}) {
      for (const PoolWindows& windows : modes(seq)) all.push_back({windows, 3, 31, dtype});
    }
    for (const PoolWindows& windows : modes(9)) {
      all.push_back({windows, 1, 1, dtype});
      all.push_back({windows, 2, 33, dtype});
      all.push_back({windows, 2, 1000, dtype});
    }
  }
  return all;
}

ref::Vector sum_of(ref::Vector a, const ref::Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

TEST(MeanPool, AgreesWithReference) {
  Context& context = context_under_test();
  for (const auto& [windows, batch, width, dtype] : cases()) {
    SCOPED_TRACE(describe(windows) + ", width " + std::to_string(width));
    const int64_t seq = windows.seq, pooled = windows.pooled();
    const auto lists = reference_windows(windows);
    const Tolerance tolerance = tolerance_of(dtype, Kind::elementwise);
    const OwnedTensor x = random_tensor({batch, seq, width}, dtype, 1);
    const OwnedTensor y({batch, pooled, width}, dtype);
    mean_pool_forward(context, windows, x, y);
    expect_close("y", y.values(), ref::mean_pool_forward(x.values(), lists, batch, seq, width),
                 tolerance);
    const OwnedTensor dy = random_tensor({batch, pooled, width}, dtype, 2);
    const OwnedTensor dx({batch, seq, width}, dtype);
    mean_pool_backward(context, windows, dy, dx);
    expect_close("dx", dx.values(), ref::mean_pool_backward(dy.values(), lists, batch, seq, width),
                 tolerance);
    const ref::Vector once = dx.values();
    mean_pool_backward(context, windows, dy, dx, /*adds=*/true);
    EXPECT_EQ(dx.values(), sum_of(once, once));  // doubling is exact
  }
}

TEST(MaxPool, EqualsReference) {
  Context& context = context_under_test();
  for (const auto& [windows, batch, width, dtype] : cases()) {
    SCOPED_TRACE(describe(windows) + ", width " + std::to_string(width));
    const int64_t seq = windows.seq, pooled = windows.pooled();
    const auto lists = reference_windows(windows);
    // Small integers, so that many windows hold a tie.
    const OwnedTensor x(Shape{batch, seq, width}, dtype,
                        random_integers({batch, seq, width}, DType::i32, 3, 1).values());
    const OwnedTensor y({batch, pooled, width}, dtype);
    max_pool_forward(context, windows, x, y);
    EXPECT_EQ(y.values(), ref::max_pool_forward(x.values(), lists, batch, seq, width));
    const OwnedTensor dy = random_tensor({batch, pooled, width}, dtype, 2);
    const OwnedTensor dx({batch, seq, width}, dtype);
    max_pool_backward(context, windows, x, dy, dx);
    EXPECT_EQ(dx.values(),
              ref::max_pool_backward(dy.values(), x.values(), lists, batch, seq, width));
    const ref::Vector once = dx.values();
    max_pool_backward(context, windows, x, dy, dx, /*adds=*/true);
    EXPECT_EQ(dx.values(), sum_of(once, once));
  }
}

TEST(MaxPool, Extremes) {
  Context& context = context_under_test();
  const PoolWindows windows{4, false, false};
  const OwnedTensor x({1, 4, 1}, DType::f32, {-INFINITY, -3e38, 3e38, INFINITY});
  const OwnedTensor y({1, 2, 1}, DType::f32);
  max_pool_forward(context, windows, x, y);
  EXPECT_EQ(y.values(), (std::vector<double>{-3e38f, INFINITY}));
}

TEST(Pool, CentralDifferences) {
  Context& context = context_under_test();
  for (const int64_t seq : {1, 8, 9}) {
    for (const PoolWindows& windows : modes(seq)) {
      SCOPED_TRACE(describe(windows));
      const OwnedTensor x = random_tensor({2, seq, 5}, DType::f64, 3);
      const OwnedTensor y({2, windows.pooled(), 5}, DType::f64);
      const OwnedTensor dx(x.tensor().shape(), DType::f64);
      const Functional functional(y.tensor().shape(), 4);
      mean_pool_backward(context, windows, functional.gradient(), dx);
      check_gradients(
          [&] {
            mean_pool_forward(context, windows, x, y);
            return functional.of(y);
          },
          {{"mean: x", x, dx}});
      max_pool_backward(context, windows, x, functional.gradient(), dx);
      check_gradients(
          [&] {
            max_pool_forward(context, windows, x, y);
            return functional.of(y);
          },
          {{"max: x", x, dx}});
    }
  }
}

TEST(PoolFlags, EqualReference) {
  Context& context = context_under_test();
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const PoolWindows& windows : modes(seq)) {
      SCOPED_TRACE(describe(windows));
      const int64_t batch = 5;
      const auto lists = reference_windows(windows);
      const OwnedTensor hidden = random_integers({batch, seq}, DType::u8, 2, seq);
      const OwnedTensor segments = random_integers({batch, seq}, DType::u8, 3, seq + 100);
      const OwnedTensor pooled_hidden({batch, windows.pooled()}, DType::u8);
      const OwnedTensor pooled_segments({batch, windows.pooled()}, DType::u8);
      pool_hidden(context, windows, hidden, pooled_hidden);
      pool_segments(context, windows, segments, pooled_segments);
      EXPECT_EQ(integers_of(pooled_hidden),
                ref::pool_hidden(integers_of(hidden), lists, batch, seq));
      EXPECT_EQ(integers_of(pooled_segments),
                ref::pool_first(integers_of(segments), lists, batch, seq));
    }
  }
}

TEST(Pool, RejectsWrongShapes) {
  Context& context = context_under_test();
  const PoolWindows windows{8, true, true};
  const OwnedTensor x({2, 8, 4}, DType::f32), right({2, 4, 4}, DType::f32);
  const OwnedTensor wrong({2, 5, 4}, DType::f32), short_x({2, 7, 4}, DType::f32);
  EXPECT_THROW(mean_pool_forward(context, windows, x, wrong), Error);
  EXPECT_THROW(max_pool_forward(context, windows, short_x, right), Error);
  EXPECT_THROW(mean_pool_backward(context, windows, wrong, x), Error);
  EXPECT_THROW(max_pool_backward(context, windows, x, wrong, x), Error);
}

}  // namespace
}  // namespace funnel::testing
