// SPDX-License-Identifier: Apache-2.0
// Oracles: the naive double reference, values known in closed form, and central differences.
#include "core/ops/vocabulary_loss.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/reference/losses.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

std::vector<double> flags(const std::vector<bool>& flags) {
  return {flags.begin(), flags.end()};
}

struct Losses {
  OwnedTensor loss, correct;
  Losses(int64_t rows, DType dtype)
      : loss({rows}, compute_dtype(dtype)), correct({rows}, DType::u8) {}
};

Losses forward(const Tensor& logits, const Tensor& targets) {
  Losses out(logits.rows(), logits.dtype());
  vocabulary_loss(context_under_test(),
                  {.logits = logits, .targets = targets, .loss = out.loss, .correct = out.correct});
  return out;
}

// The losses; logits become their gradient.
Losses backward(const Tensor& logits, const Tensor& targets, double factor) {
  Losses out(logits.rows(), logits.dtype());
  vocabulary_loss(context_under_test(), {.logits = logits,
                                         .targets = targets,
                                         .loss = out.loss,
                                         .correct = out.correct,
                                         .wants_gradient = true,
                                         .factor = factor});
  return out;
}

TEST(CrossEntropy, AgreesWithReference) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (const auto& [rows, vocab] : {std::pair{1, 1}, std::pair{31, 2}, std::pair{33, 31},
                                      std::pair{5, 33}, std::pair{7, 1000}, std::pair{2, 30522}}) {
      SCOPED_TRACE(::testing::Message() << rows << " x " << vocab << ' ' << name_of(dtype));
      const OwnedTensor logits = random_tensor({rows, vocab}, dtype, 1, 0, 3);
      const OwnedTensor targets = random_integers({rows}, DType::i32, vocab, 2);
      const ref::Vector original = logits.values();
      const auto expected = ref::cross_entropy_forward(original, integers_of(targets), rows, vocab);
      const Tolerance tolerance = tolerance_of(compute_dtype(dtype), Kind::row);
      const Losses found = forward(logits, targets);
      expect_close("loss", found.loss.values(), expected.loss, tolerance);
      EXPECT_EQ(found.correct.values(), flags(expected.correct));

      EXPECT_EQ(logits.values(), original);
      const Losses again = backward(logits, targets, 0.37);
      EXPECT_TRUE(same_bits(again.loss, found.loss));
      EXPECT_TRUE(same_bits(again.correct, found.correct));
      expect_close("dlogits", logits.values(),
                   ref::cross_entropy_backward(original, integers_of(targets), rows, vocab, 0.37),
                   tolerance_of(dtype, Kind::row));
    }
  }
}

// Logits whose exponentials leave the range of a float, and logits of minus infinity.
TEST(CrossEntropy, Extremes) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const OwnedTensor logits({4, 3}, dtype,
                             {1e4, 0, -1e4,         //
                              -1e30, -1e30, -1e30,  //
                              3e38, 3e38, -3e38,    //
                              -INFINITY, 5, -INFINITY});
    const OwnedTensor targets({4}, DType::i32, {0, 1, 0, 1});
    const Losses found = forward(logits, targets);
    const std::vector<double> loss = found.loss.values();
    EXPECT_EQ(loss[0], 0.0);
    EXPECT_EQ(loss[3], 0.0);
    EXPECT_TRUE(std::isfinite(loss[1]) && std::isfinite(loss[2]));
    EXPECT_EQ(found.correct.values(), (std::vector<double>{1, 1, 1, 1}));
    backward(logits, targets, 1.0);
    for (const double gradient : logits.values()) EXPECT_TRUE(std::isfinite(gradient));
  }
}

TEST(CrossEntropy, UniformLogits) {
  const int64_t vocab = 30522;
  const OwnedTensor logits({1, vocab}, DType::f32, std::vector<double>(vocab, 2.0));
  const OwnedTensor targets({1}, DType::i32, {17});
  EXPECT_NEAR(forward(logits, targets).loss.values()[0], std::log(30522.0), 2e-6);
}

// A target that shares the largest logit counts as correct, one just below does not.
TEST(CrossEntropy, TiesAreCorrect) {
  const OwnedTensor logits({3, 3}, DType::f32, {1, 2, 2, 2, 1, 2, 1, 2, 1});
  const OwnedTensor targets({3}, DType::i32, {1, 1, 1});
  EXPECT_EQ(forward(logits, targets).correct.values(), (std::vector<double>{1, 0, 1}));
}

TEST(CrossEntropy, NotANumberSpreads) {
  const OwnedTensor logits = random_tensor({2, 33}, DType::f32, 1);
  set_value(logits, 40, std::numeric_limits<float>::quiet_NaN());
  const OwnedTensor targets({2}, DType::i32, {1, 1});
  const std::vector<double> loss = forward(logits, targets).loss.values();
  EXPECT_TRUE(std::isfinite(loss[0]));
  EXPECT_TRUE(std::isnan(loss[1]));
}

TEST(CrossEntropy, CentralDifferences) {
  const OwnedTensor logits = random_tensor({5, 33}, DType::f64, 3, 0, 2);
  const OwnedTensor targets = random_integers({5}, DType::i32, 33, 4);
  const OwnedTensor dlogits(Shape{5, 33}, DType::f64, logits.values());
  backward(dlogits, targets, 0.2);
  check_gradients(
      [&] {
        double total = 0;
        for (const double loss : forward(logits, targets).loss.values()) total += 0.2 * loss;
        return total;
      },
      {{"logits", logits, dlogits}});
}

// A row without a target adds nothing; the others are as they would be without it.
TEST(CrossEntropy, AbsentTargetsCountForNothing) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const OwnedTensor logits = random_tensor({4, 33}, dtype, 5, 0, 3);
    const OwnedTensor alone({4, 33}, dtype, logits.values());
    const OwnedTensor targets({4}, DType::i32, {7, kNoTarget, 0, kNoTarget});
    const OwnedTensor all({4}, DType::i32, {7, 1, 0, 2});
    const Losses found = backward(logits, targets, 0.3), expected = backward(alone, all, 0.3);
    for (size_t row = 0; row < 4; ++row) {
      const bool absent = row % 2 == 1;
      EXPECT_EQ(found.loss.values()[row], absent ? 0 : expected.loss.values()[row]);
      EXPECT_EQ(found.correct.values()[row], absent ? 0 : expected.correct.values()[row]);
      for (size_t v = 33 * row; v < 33 * (row + 1); ++v) {
        EXPECT_EQ(logits.values()[v], absent ? 0 : alone.values()[v]);
      }
    }
  }
}

// On the CPU they are refused; a device, which cannot refuse, spoils the row's loss.
TEST(CrossEntropy, BadTargets) {
  const OwnedTensor logits = random_tensor({2, 5}, DType::f32, 1);
  EXPECT_THROW(forward(logits, OwnedTensor({3}, DType::i32, {0, 1, 2})), Error);
  for (const double bad : {5.0, -2.0}) {
    const OwnedTensor targets({2}, DType::i32, {0, bad});
    if (device_under_test() == Device::cpu) {
      EXPECT_THROW(forward(logits, targets), Error);
      EXPECT_THROW(backward(logits, targets, 1.0), Error);
    } else {
      const Losses found = backward(logits, targets, 1.0);  // within bounds
      EXPECT_TRUE(std::isfinite(found.loss.values()[0]));
      EXPECT_TRUE(std::isnan(found.loss.values()[1]));
    }
  }
}

}  // namespace
}  // namespace funnel::testing
