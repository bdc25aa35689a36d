// SPDX-License-Identifier: Apache-2.0
// Oracles: explicit lists of copies (tests/reference/pooling.h) and central differences.
#include "core/ops/upsample.h"

#include <gtest/gtest.h>

#include "core/ops/pooling.h"
#include "tests/reference/pooling.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

struct Case {
  int64_t seq, pooled, stride;
  bool separate_cls;
};

// Every length that `blocks` of pooling can leave, in all modes.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const bool separate_cls : {true, false}) {
      for (const bool truncate : {true, false}) {
        int64_t pooled = seq;
        for (int64_t stride = 1; stride <= 8; stride *= 2) {
          all.push_back({seq, pooled, stride, separate_cls});
          pooled = PoolWindows{pooled, separate_cls, truncate}.pooled();
        }
      }
    }
  }
  return all;
}

std::string describe(const Case& c) {
  return "seq " + std::to_string(c.seq) + ", pooled " + std::to_string(c.pooled) + ", stride " +
         std::to_string(c.stride) + (c.separate_cls ? ", separate CLS" : "");
}

TEST(Upsample, SourceAndCopiesAgreeWithEnumeration) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(describe(c));
    const Upsample upsample{c.stride, c.separate_cls};
    const auto copies = ref::upsample_copies(c.seq, c.pooled, c.stride, c.separate_cls);
    ref::Integers source(c.seq, c.pooled);
    for (int64_t p = 0; p < c.pooled; ++p) {
      for (int64_t t : copies[p]) source[t] = p;
      if (!copies[p].empty()) {
        EXPECT_EQ(upsample.first_copy(p), copies[p].front());
      }
    }
    for (int64_t t = 0; t < c.seq; ++t) {
      EXPECT_EQ(std::min(upsample.source(t), c.pooled), source[t]) << "position " << t;
    }
  }
}

// The last three of 512 positions have no pooled vector when three blocks truncate.
TEST(Upsample, TruncatedTailOfTheLargeModel) {
  const Upsample upsample{.stride = 4, .separate_cls = true};
  EXPECT_EQ(upsample.source(508), 127);
  for (int64_t t = 509; t < 512; ++t) EXPECT_GE(upsample.source(t), 128);
}

void expect_agreement(const Case& c, int64_t batch, int64_t width, DType dtype) {
  SCOPED_TRACE(describe(c) + ", width " + std::to_string(width));
  Context& context = context_under_test();
  const Upsample upsample{c.stride, c.separate_cls};
  const auto copies = ref::upsample_copies(c.seq, c.pooled, c.stride, c.separate_cls);
  const OwnedTensor pooled = random_tensor({batch, c.pooled, width}, dtype, 1);
  const OwnedTensor residual = random_tensor({batch, c.seq, width}, dtype, 2);
  const OwnedTensor y({batch, c.seq, width}, dtype);
  upsample_forward(context, upsample, pooled, residual, y);
  const auto expected =
      ref::upsample_forward(pooled.values(), residual.values(), copies, batch, c.seq, width);
  expect_close("y", y.values(), expected, tolerance_of(dtype, Kind::elementwise));

  const OwnedTensor dpooled({batch, c.pooled, width}, dtype);
  upsample_backward(context, upsample, residual, dpooled);
  expect_close("dpooled", dpooled.values(),
               ref::upsample_backward(residual.values(), copies, batch, c.seq, width),
               tolerance_of(dtype, dtype == DType::bf16 ? Kind::row : Kind::elementwise));

  upsample_forward(context, upsample, pooled, residual, residual);
  EXPECT_TRUE(same_bits(residual, y)) << "in place";
}

TEST(Upsample, AgreesWithReference) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (const Case& c : cases()) expect_agreement(c, 2, 3, dtype);
    for (const int64_t width : {1, 31, 33, 1000}) {
      expect_agreement({32, 8, 4, true}, 3, width, dtype);
      expect_agreement({33, 9, 4, false}, 3, width, dtype);
    }
  }
}

TEST(Upsample, CentralDifferences) {
  Context& context = context_under_test();
  for (const Case& c :
       {Case{8, 2, 4, true}, Case{8, 3, 4, true}, Case{9, 5, 2, true}, Case{9, 3, 4, false}}) {
    SCOPED_TRACE(describe(c));
    const Upsample upsample{c.stride, c.separate_cls};
    const OwnedTensor pooled = random_tensor({2, c.pooled, 5}, DType::f64, 3);
    const OwnedTensor residual = random_tensor({2, c.seq, 5}, DType::f64, 4);
    const OwnedTensor y({2, c.seq, 5}, DType::f64);
    const OwnedTensor dpooled({2, c.pooled, 5}, DType::f64);
    const Functional functional(y.tensor().shape(), 5);
    upsample_backward(context, upsample, functional.gradient(), dpooled);
    check_gradients(
        [&] {
          upsample_forward(context, upsample, pooled, residual, y);
          return functional.of(y);
        },
        {{"pooled", pooled, dpooled}, {"residual", residual, functional.gradient()}});
  }
}

TEST(Upsample, RejectsWrongShapes) {
  Context& context = context_under_test();
  const OwnedTensor pooled({2, 4, 3}, DType::f32), full({2, 8, 3}, DType::f32);
  const OwnedTensor other_batch({1, 8, 3}, DType::f32), wide({2, 8, 5}, DType::f32);
  EXPECT_THROW(upsample_forward(context, {2, true}, pooled, full, other_batch), Error);
  EXPECT_THROW(upsample_forward(context, {2, true}, pooled, wide, full), Error);
  EXPECT_THROW(upsample_backward(context, {2, true}, wide, pooled), Error);
  EXPECT_THROW(upsample_backward(context, {0, true}, full, pooled), Error);
}

}  // namespace
}  // namespace funnel::testing
