// SPDX-License-Identifier: Apache-2.0
// Residual norms whose rows go on to another length. Oracles: the double references of the norm, of
// pooling and of upsampling (tests/reference), the same norm without an outlet, and central
// differences.
#include <gtest/gtest.h>

#include "tests/ops/residual_norm_rig.h"
#include "tests/reference/pooling.h"

namespace funnel::testing {
namespace {

constexpr int64_t kBatch = 3;

// The norm's own outputs do not depend on where they go on to.
void expect_outputs_of_plain_norm(const ResidualNormRig& norm, DType dtype) {
  ResidualNormRig plain(dtype, norm.rows, norm.cols, norm.dropout);
  plain.forward(plain.y);
  EXPECT_TRUE(same_bits(norm.sum, plain.sum));
  EXPECT_TRUE(same_bits(norm.y, plain.y));
  EXPECT_TRUE(same_bits(norm.mean, plain.mean));
  EXPECT_TRUE(same_bits(norm.rstd, plain.rstd));
}

struct PoolCase {
  PoolWindows windows;
  int64_t width;
};

std::string describe(const PoolCase& c, Pooling pooling) {
  return std::string(pooling == Pooling::mean ? "mean" : "max") + ", seq " +
         std::to_string(c.windows.seq) + (c.windows.separate_cls ? ", separate CLS" : "") +
         (c.windows.truncate ? ", truncate" : "") + ", width " + std::to_string(c.width);
}

std::vector<PoolWindows> modes(int64_t seq) {
  return {{seq, true, true}, {seq, true, false}, {seq, false, false}};
}

// 768 is the widest row that a warp holds; 2049 needs the widest team.
std::vector<PoolCase> pool_cases() {
  std::vector<PoolCase> all;
  for (const int64_t seq : {1, 2, 3, 8, 32, 33}) {
    for (const PoolWindows& windows : modes(seq)) all.push_back({windows, 31});
  }
  for (const int64_t width : {1, 33, 768, 1000, 2049}) {
    for (const PoolWindows& windows : modes(9)) all.push_back({windows, width});
  }
  return all;
}

struct PooledNorm {
  PooledNorm(DType dtype, const PoolCase& c, Pooling kind, const Dropout& dropout)
      : norm(dtype, kBatch * c.windows.seq, c.width, dropout),
        windows(c.windows),
        pooling(kind),
        members(ref::pool_windows(c.windows.seq, c.windows.separate_cls, c.windows.truncate)),
        pooled({kBatch, windows.pooled(), c.width}, dtype),
        dpooled(random_tensor({kBatch, windows.pooled(), c.width}, dtype, 9)) {}

  void forward() { norm.forward(norm.y, PoolOutlet{windows, pooling, pooled}); }

  NormGradient gradient(ConstTensor of_y, ConstTensor of_pooled) const {
    return {of_y, PoolGradient{windows, pooling, norm.y, of_pooled}};
  }

  // By the y that was found: where two members are as good as equal, rounding decides.
  std::vector<double> expected_pooled() const {
    const auto pool = pooling == Pooling::mean ? ref::mean_pool_forward : ref::max_pool_forward;
    return pool(norm.y.values(), members, kBatch, windows.seq, norm.cols);
  }
  std::vector<double> from_pooled() const {
    if (pooling == Pooling::mean) {
      return ref::mean_pool_backward(dpooled.values(), members, kBatch, windows.seq, norm.cols);
    }
    return ref::max_pool_backward(dpooled.values(), norm.y.values(), members, kBatch, windows.seq,
                                  norm.cols);
  }

  ResidualNormRig norm;
  PoolWindows windows;
  Pooling pooling;
  std::vector<ref::Integers> members;
  OwnedTensor pooled, dpooled;
};

class NormOutlet : public ::testing::TestWithParam<DType> {};

TEST_P(NormOutlet, PoolsAsTheReferenceDoes) {
  const DType dtype = GetParam();
  for (const PoolCase& c : pool_cases()) {
    for (const Pooling pooling : {Pooling::mean, Pooling::max}) {
      SCOPED_TRACE(describe(c, pooling));
      PooledNorm pooled(dtype, c, pooling, norm_dropout());
      pooled.forward();
      pooled.norm.expect_forward(tolerance_of(dtype, Kind::row));
      expect_outputs_of_plain_norm(pooled.norm, dtype);
      if (pooling == Pooling::max) {
        EXPECT_EQ(pooled.pooled.values(), pooled.expected_pooled());
      } else {
        expect_close("pooled", pooled.pooled.values(), pooled.expected_pooled(),
                     tolerance_of(dtype, Kind::elementwise));
      }
    }
  }
}

TEST_P(NormOutlet, TakesTheGradientOfPooledRows) {
  const DType dtype = GetParam();
  const Tolerance tolerance = tolerance_of(dtype, Kind::row);
  for (const PoolCase& c : pool_cases()) {
    for (const Pooling pooling : {Pooling::mean, Pooling::max}) {
      SCOPED_TRACE(describe(c, pooling));
      PooledNorm pooled(dtype, c, pooling, norm_dropout());
      ResidualNormRig& norm = pooled.norm;
      pooled.forward();
      const std::vector<double> back = pooled.from_pooled();
      norm.expect_backward(pooled.gradient({}, pooled.dpooled), back, tolerance);
      norm.expect_backward(pooled.gradient(norm.dy, pooled.dpooled),
                           ref::add(norm.dy.values(), back), tolerance);
      norm.backward(pooled.gradient(norm.dy, pooled.dpooled), norm.dy);
      EXPECT_TRUE(same_bits(norm.dy, norm.dresidual)) << "dresidual = dy";
    }
  }
}

// A gain of 0 makes all rows equal: every window holds a tie, whose first member is the maximum.
TEST_P(NormOutlet, FirstOfATieTakesAllOfTheGradient) {
  for (const PoolWindows& windows : modes(9)) {
    const PoolCase c{windows, 33};
    SCOPED_TRACE(describe(c, Pooling::max));
    PooledNorm pooled(GetParam(), c, Pooling::max, Dropout());
    pooled.norm.context.fill_zero(pooled.norm.gamma);
    pooled.norm.context.fill_zero(pooled.norm.dbeta);
    pooled.forward();
    pooled.norm.expect_backward(pooled.gradient({}, pooled.dpooled), pooled.from_pooled(),
                                tolerance_of(GetParam(), Kind::row));
  }
}

struct UpsampleCase {
  int64_t seq, pooled, stride;
  bool separate_cls;
  int64_t width;
};

std::string describe(const UpsampleCase& c) {
  return "seq " + std::to_string(c.seq) + ", pooled " + std::to_string(c.pooled) + ", stride " +
         std::to_string(c.stride) + (c.separate_cls ? ", separate CLS" : "") + ", width " +
         std::to_string(c.width);
}

// Every length that `blocks` of pooling can leave, in all modes.
std::vector<UpsampleCase> upsample_cases() {
  std::vector<UpsampleCase> all;
  for (const int64_t seq : {1, 2, 5, 9, 12, 20}) {
    for (const PoolWindows& mode : modes(seq)) {
      int64_t pooled = seq;
      for (int64_t stride = 1; stride <= 8; stride *= 2) {
        all.push_back({seq, pooled, stride, mode.separate_cls, 31});
        pooled = PoolWindows{pooled, mode.separate_cls, mode.truncate}.pooled();
      }
    }
  }
  for (const int64_t width : {1, 33, 768, 1000, 2049}) {
    all.push_back({32, 8, 4, true, width});
    all.push_back({33, 9, 4, false, width});
  }
  return all;
}

struct UpsampledNorm {
  UpsampledNorm(DType dtype, const UpsampleCase& c, const Dropout& dropout)
      : norm(dtype, kBatch * c.pooled, c.width, dropout),
        seq(c.seq),
        upsample{c.stride, c.separate_cls},
        copies(ref::upsample_copies(c.seq, c.pooled, c.stride, c.separate_cls)),
        skip(random_tensor({kBatch, seq, c.width}, dtype, 10)),
        sum({kBatch, seq, c.width}, dtype),
        dsum(random_tensor({kBatch, seq, c.width}, dtype, 11)) {}

  void forward(Tensor to) { norm.forward(norm.y, UpsampleOutlet{upsample, skip, to}); }

  ResidualNormRig norm;
  int64_t seq;
  Upsample upsample;
  std::vector<ref::Integers> copies;
  OwnedTensor skip, sum, dsum;
};

TEST_P(NormOutlet, UpsamplesAsTheReferenceDoes) {
  const DType dtype = GetParam();
  const Tolerance tolerance = tolerance_of(dtype, Kind::row);
  for (const UpsampleCase& c : upsample_cases()) {
    SCOPED_TRACE(describe(c));
    UpsampledNorm up(dtype, c, norm_dropout());
    up.forward(up.sum);
    up.norm.expect_forward(tolerance);
    expect_outputs_of_plain_norm(up.norm, dtype);
    expect_close("sum", up.sum.values(),
                 ref::upsample_forward(up.norm.y.values(), up.skip.values(), up.copies, kBatch,
                                       up.seq, c.width),
                 tolerance_of(dtype, Kind::elementwise));
    up.norm.expect_backward(
        UpsampleGradient{up.upsample, up.dsum},
        ref::upsample_backward(up.dsum.values(), up.copies, kBatch, up.seq, c.width), tolerance);
    up.forward(up.skip);
    EXPECT_TRUE(same_bits(up.skip, up.sum)) << "sum = skip";
  }
}

INSTANTIATE_TEST_SUITE_P(Types, NormOutlet, ::testing::Values(DType::f32, DType::f64, DType::bf16));

TEST(NormOutlet, BackwardOfPoolingIsTheDerivative) {
  for (const Pooling pooling : {Pooling::mean, Pooling::max}) {
    for (const PoolWindows& windows : modes(5)) {
      const PoolCase c{windows, 7};
      SCOPED_TRACE(describe(c, pooling));
      PooledNorm pooled(DType::f64, c, pooling, norm_dropout());
      ResidualNormRig& norm = pooled.norm;
      const Functional of_y(norm.y.tensor().shape(), 12),
          of_pooled(pooled.pooled.tensor().shape(), 13);
      const auto forward = [&] {
        pooled.forward();
        return of_y.of(norm.y) + of_pooled.of(pooled.pooled);
      };
      norm.forget_gradients();
      forward();
      norm.backward(pooled.gradient(of_y.gradient(), of_pooled.gradient()), norm.dresidual);
      check_gradients(forward, norm.inputs());
    }
  }
}

TEST(NormOutlet, BackwardOfUpsamplingIsTheDerivative) {
  for (const UpsampleCase& c : {UpsampleCase{8, 2, 4, true, 7}, UpsampleCase{9, 5, 2, true, 7},
                                UpsampleCase{9, 3, 4, false, 7}}) {
    SCOPED_TRACE(describe(c));
    UpsampledNorm up(DType::f64, c, norm_dropout());
    const Functional functional(up.sum.tensor().shape(), 12);
    const auto forward = [&] {
      up.forward(up.sum);
      return functional.of(up.sum);
    };
    up.norm.forget_gradients();
    forward();
    up.norm.backward(UpsampleGradient{up.upsample, functional.gradient()}, up.norm.dresidual);
    std::vector<CheckedInput> inputs = up.norm.inputs();
    inputs.push_back({"skip", up.skip, functional.gradient()});
    check_gradients(forward, inputs);
  }
}

TEST(NormOutlet, RejectsWrongShapes) {
  PooledNorm pooled(DType::f32, {{8, true, true}, 4}, Pooling::max, Dropout());
  ResidualNormRig& norm = pooled.norm;
  const OwnedTensor wrong({kBatch, 5, 4}, DType::f32);
  EXPECT_THROW(norm.forward(norm.y, PoolOutlet{pooled.windows, Pooling::mean, wrong}), Error);
  EXPECT_THROW(norm.forward(norm.y, PoolOutlet{{7, true, true}, Pooling::mean, pooled.pooled}),
               Error);
  EXPECT_THROW(norm.backward(pooled.gradient({}, wrong), norm.dresidual), Error);
  EXPECT_THROW(norm.backward(pooled.gradient(wrong, pooled.dpooled), norm.dresidual), Error);
  EXPECT_THROW(norm.backward({{}, PoolGradient{pooled.windows, Pooling::max, {}, pooled.dpooled}},
                             norm.dresidual),
               Error);
  EXPECT_THROW(norm.backward(ConstTensor(), norm.dresidual), Error);

  UpsampledNorm up(DType::f32, {8, 4, 2, true, 3}, Dropout());
  const OwnedTensor batch({5, 8, 3}, DType::f32), wide({kBatch, 8, 5}, DType::f32);
  EXPECT_THROW(up.norm.forward(up.norm.y, UpsampleOutlet{up.upsample, batch, batch}), Error);
  EXPECT_THROW(up.norm.forward(up.norm.y, UpsampleOutlet{up.upsample, wide, up.sum}), Error);
  EXPECT_THROW(up.norm.forward(up.norm.y, UpsampleOutlet{{0, true}, up.skip, up.sum}), Error);
  EXPECT_THROW(up.norm.backward(UpsampleGradient{up.upsample, wide}, up.norm.dresidual), Error);
}

}  // namespace
}  // namespace funnel::testing
