// SPDX-License-Identifier: Apache-2.0
// Oracles: GELU, product and binary cross-entropy of the double references, one after the other;
// values known in closed form; and central differences.
#include "core/ops/discriminator_loss.h"

#include <gtest/gtest.h>

#include "tests/reference/losses.h"
#include "tests/reference/pointwise.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

constexpr double kFactor = 0.37;

struct Sizes {
  int64_t rows, width;
};

// The tensors of one loss; what is accumulated begins as noise.
struct Head {
  Head(DType dtype, Sizes sizes)
      : rows(sizes.rows),
        width(sizes.width),
        pre(random_tensor({rows, width}, dtype, 1, 0, 2)),
        weight(random_tensor({width}, dtype, 2)),
        bias(random_tensor({1}, dtype, 3)),
        labels(random_integers({rows}, DType::u8, 2, 4)),
        hidden(random_integers({rows}, DType::u8, 2, 5)),
        logits({rows}, compute_dtype(dtype)),
        loss({rows}, compute_dtype(dtype)),
        correct({rows}, DType::u8),
        dweight(random_tensor({width}, compute_dtype(dtype), 6)),
        dbias(random_tensor({1}, compute_dtype(dtype), 7)),
        dpre_bias(random_tensor({width}, compute_dtype(dtype), 8)) {}

  void run(bool wants_gradient) {
    discriminator_loss(context_under_test(), {.pre = pre,
                                              .weight = weight,
                                              .bias = bias,
                                              .labels = labels,
                                              .hidden = hidden,
                                              .logits = logits,
                                              .loss = loss,
                                              .correct = correct,
                                              .wants_gradient = wants_gradient,
                                              .factor = kFactor,
                                              .dweight = dweight,
                                              .dbias = dbias,
                                              .dpre_bias = dpre_bias});
  }

  int64_t rows, width;
  OwnedTensor pre, weight, bias, labels, hidden;
  OwnedTensor logits, loss, correct, dweight, dbias, dpre_bias;
};

std::vector<double> numbers(const std::vector<bool>& flags) {
  return {flags.begin(), flags.end()};
}

class DiscriminatorLoss : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {};

TEST_P(DiscriminatorLoss, AgreesWithReference) {
  const auto [dtype, sizes] = GetParam();
  const auto [rows, width] = sizes;
  Head head(dtype, sizes);
  const ref::Vector pre = head.pre.values(), weight = head.weight.values();
  const ref::Integers labels = integers_of(head.labels), hidden = integers_of(head.hidden);
  const ref::Vector active = ref::gelu_forward(pre);
  const ref::Vector logits =
      ref::linear_forward(active, weight, head.bias.values(), rows, width, 1);
  const ref::BinaryCrossEntropy expected =
      ref::binary_cross_entropy_forward(logits, labels, hidden);
  const ref::LinearGradient gradient =
      ref::linear_backward(ref::binary_cross_entropy_backward(logits, labels, hidden, kFactor),
                           active, weight, rows, width, 1);
  const ref::Vector dpre = ref::gelu_backward(gradient.dx, pre);
  const ref::Vector dweight = ref::add(head.dweight.values(), gradient.dkernel);
  const ref::Vector dbias = ref::add(head.dbias.values(), gradient.dbias);
  const ref::Vector dpre_bias = ref::add(head.dpre_bias.values(), ref::sum_rows(dpre, rows, width));

  const Tolerance tolerance = tolerance_of(compute_dtype(dtype), Kind::product);
  head.run(false);
  expect_close("logits", head.logits.values(), logits, tolerance);
  expect_close("loss", head.loss.values(), expected.loss, tolerance);
  EXPECT_EQ(head.correct.values(), numbers(expected.correct));
  EXPECT_EQ(head.pre.values(), pre);

  const OwnedTensor loss({rows}, head.loss.tensor().dtype(), head.loss.values());
  head.run(true);
  EXPECT_TRUE(same_bits(head.loss, loss));
  expect_close("dpre", head.pre.values(), dpre, tolerance_of(dtype, Kind::product));
  expect_close("dweight", head.dweight.values(), dweight, tolerance);
  expect_close("dbias", head.dbias.values(), dbias, tolerance);
  expect_close("dpre_bias", head.dpre_bias.values(), dpre_bias, tolerance_of(dtype, Kind::product));
}

// 768 is the widest row of a warp; 2049 needs the widest team.
INSTANTIATE_TEST_SUITE_P(
    Sizes, DiscriminatorLoss,
    ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                       ::testing::Values(Sizes{0, 3}, Sizes{1, 1}, Sizes{31, 33}, Sizes{33, 31},
                                         Sizes{97, 768}, Sizes{33, 1000}, Sizes{3, 2049})));

// One column, weight 1: z is gelu(pre) + bias. The loss of a confident, right answer keeps its
// relative precision down to e^-80.
TEST(DiscriminatorLoss, Extremes) {
  const std::vector<double> z = {80, -80, 20, -20, 1e30, -1e30, 0, -0.0};
  const ref::Integers labels = {1, 0, 0, 1, 1, 1, 1, 0};
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (size_t i = 0; i < z.size(); ++i) {
      Head head(dtype, {1, 1});
      set_values(head.pre, {0});
      set_values(head.bias, {z[i]});
      set_values(head.labels, {static_cast<double>(labels[i])});
      set_values(head.hidden, {0});
      head.run(true);
      const auto expected = ref::binary_cross_entropy_forward({z[i]}, {labels[i]}, {0});
      expect_close("loss", head.loss.values(), expected.loss, {2e-6, 0});
      EXPECT_EQ(head.correct.values(), numbers(expected.correct)) << z[i];
      EXPECT_TRUE(std::isfinite(head.pre.values()[0]));
      EXPECT_TRUE(std::isfinite(head.dbias.values()[0]));
    }
  }
}

TEST(DiscriminatorLoss, CentralDifferences) {
  Head head(DType::f64, {37, 9});
  const OwnedTensor input(head.pre.tensor().shape(), DType::f64, head.pre.values());
  for (const Tensor& sum : {head.dweight.tensor(), head.dbias.tensor(), head.dpre_bias.tensor()}) {
    context_under_test().fill_zero(sum);
  }
  head.run(true);
  const OwnedTensor dpre(head.pre.tensor().shape(), DType::f64, head.pre.values());
  check_gradients(
      [&] {
        context_under_test().copy(input, head.pre);
        head.run(false);
        double total = 0;
        for (const double loss : head.loss.values()) total += kFactor * loss;
        return total;
      },
      {{"pre", input, dpre},
       {"weight", head.weight, head.dweight},
       {"bias", head.bias, head.dbias}});
}

TEST(DiscriminatorLoss, RejectsWrongShapes) {
  Head head(DType::f32, {3, 5});
  head.labels = zero_tensor({2}, DType::u8);
  EXPECT_THROW(head.run(false), Error);
  Head other(DType::f32, {3, 5});
  other.dweight = zero_tensor({3}, DType::f32);
  EXPECT_NO_THROW(other.run(false));
  EXPECT_THROW(other.run(true), Error);
  Head wide(DType::f32, {1, 8193});
  EXPECT_THROW(wide.run(false), Error);
}

}  // namespace
}  // namespace funnel::testing
