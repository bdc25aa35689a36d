// SPDX-License-Identifier: Apache-2.0
// The references themselves: every backward against central differences of its forward, and the
// formulas against numbers worked out by hand.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/reference/attention.h"
#include "tests/reference/embedding.h"
#include "tests/reference/layer_norm.h"
#include "tests/reference/optimizer.h"
#include "tests/reference/sampling.h"

namespace funnel::ref {
namespace {

Vector random_vector(int64_t n, int seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  Vector x(n);
  for (double& v : x) v = normal(generator);
  return x;
}

double dot(const Vector& a, const Vector& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += a[i] * b.at(i);
  return total;
}

// Compares `gradient` with the central differences of f in x, which f reads by reference.
void expect_gradient(Vector& x, const Vector& gradient, const std::function<double()>& f) {
  ASSERT_EQ(x.size(), gradient.size());
  const double step = 1e-5;
  for (size_t i = 0; i < x.size(); ++i) {
    const double value = x[i];
    x[i] = value + step;
    const double above = f();
    x[i] = value - step;
    const double below = f();
    x[i] = value;
    EXPECT_NEAR((above - below) / (2 * step), gradient[i], 1e-8 * (1 + std::abs(gradient[i])))
        << "element " << i;
  }
}

TEST(Reference, LinearBackward) {
  Vector x = random_vector(3 * 4, 1), kernel = random_vector(4 * 5, 2), bias = random_vector(5, 3);
  const Vector dy = random_vector(3 * 5, 4);
  const LinearGradient gradient = linear_backward(dy, x, kernel, 3, 4, 5);
  const auto f = [&] { return dot(linear_forward(x, kernel, bias, 3, 4, 5), dy); };
  expect_gradient(x, gradient.dx, f);
  expect_gradient(kernel, gradient.dkernel, f);
  expect_gradient(bias, gradient.dbias, f);
}

TEST(Reference, GeluBackwardAndValue) {
  EXPECT_NEAR(gelu(1.0), 0.8411919906, 1e-10);
  Vector x = random_vector(20, 5);
  const Vector dy = random_vector(20, 6);
  expect_gradient(x, gelu_backward(dy, x), [&] { return dot(gelu_forward(x), dy); });
}

TEST(Reference, ResidualNormBackward) {
  Vector residual = random_vector(3 * 7, 7), branch = random_vector(3 * 7, 8);
  Vector gamma = random_vector(7, 9), beta = random_vector(7, 10);
  std::vector<bool> kept(3 * 7, true);
  kept[4] = kept[11] = false;
  const Vector factors = dropout_factors(kept, 0.25), dy = random_vector(3 * 7, 11);
  const auto forward = [&] {
    return residual_norm_forward(residual, branch, factors, gamma, beta, 3, 7, 1e-8);
  };
  const ResidualNormGradient gradient =
      residual_norm_backward(dy, forward().sum, factors, gamma, 3, 7, 1e-8);
  const auto f = [&] { return dot(forward().norm.y, dy); };
  expect_gradient(residual, gradient.dresidual, f);
  expect_gradient(branch, gradient.dbranch, f);
  expect_gradient(gamma, gradient.dgamma, f);
  expect_gradient(beta, gradient.dbeta, f);
}

TEST(Reference, LossesBackward) {
  Vector logits = random_vector(4 * 6, 12);
  const Integers targets = {0, 5, 2, 2};
  expect_gradient(logits, cross_entropy_backward(logits, targets, 4, 6, 0.7),
                  [&] { return 0.7 * sum_all(cross_entropy_forward(logits, targets, 4, 6).loss); });
  Vector z = {-30, -0.3, 0.2, 40, 1.5};
  const Integers labels = {1, 0, 1, 1, 0}, hidden = {0, 0, 0, 0, 1};
  expect_gradient(z, binary_cross_entropy_backward(z, labels, hidden, 0.7), [&] {
    return 0.7 * sum_all(binary_cross_entropy_forward(z, labels, hidden).loss);
  });
}

TEST(Reference, PoolWindowsAndBackward) {
  using Windows = std::vector<Integers>;
  EXPECT_EQ(pool_windows(8, true, true), (Windows{{0}, {1, 2}, {3, 4}, {5, 6}}));
  EXPECT_EQ(pool_windows(8, true, false), (Windows{{0}, {1, 2}, {3, 4}, {5, 6}, {7}}));
  EXPECT_EQ(pool_windows(7, true, true), (Windows{{0}, {1, 2}, {3, 4}, {5}}));
  EXPECT_EQ(pool_windows(5, false, true), (Windows{{0, 1}, {2, 3}, {4}}));
  const Windows windows = pool_windows(7, true, true);
  Vector x = random_vector(2 * 7 * 3, 13);
  const Vector dy = random_vector(2 * 4 * 3, 14);
  expect_gradient(x, mean_pool_backward(dy, windows, 2, 7, 3),
                  [&] { return dot(mean_pool_forward(x, windows, 2, 7, 3), dy); });
  expect_gradient(x, max_pool_backward(dy, x, windows, 2, 7, 3),
                  [&] { return dot(max_pool_forward(x, windows, 2, 7, 3), dy); });
}

TEST(Reference, UpsampleBackward) {
  const std::vector<Integers> copies = upsample_copies(8, 2, 4, true);
  EXPECT_EQ(copies, (std::vector<Integers>{{0}, {1, 2, 3, 4}}));
  EXPECT_EQ(upsample_copies(6, 2, 4, false), (std::vector<Integers>{{0, 1, 2, 3}, {4, 5}}));
  Vector x = random_vector(2 * 2 * 3, 15);
  const Vector residual = random_vector(2 * 8 * 3, 16), dy = random_vector(2 * 8 * 3, 17);
  expect_gradient(x, upsample_backward(dy, copies, 2, 8, 3),
                  [&] { return dot(upsample_forward(x, residual, copies, 2, 8, 3), dy); });
}

TEST(Reference, Positions) {
  EXPECT_EQ(block_positions(8, 1, true, true), (Integers{-1, 1, 3, 5}));
  EXPECT_EQ(block_positions(8, 2, true, true), (Integers{-3, 1}));
  EXPECT_EQ(block_positions(8, 2, true, false), (Integers{-3, 1, 5}));
  EXPECT_EQ(block_positions(8, 2, false, true), (Integers{0, 4}));
  const Vector e = sinusoid(-2, 8);
  const Vector expected = {-.909297, -.198669, -.019999, -.002000,
                           -.416147, .980067,  .999800,  .999998};
  for (int i = 0; i < 8; ++i) EXPECT_NEAR(e[i], expected[i], 1e-6);
}

RelativeAttention pooled_attention(bool cls_mask) {
  const int64_t batch = 2, seq = 7, pooled = 4, heads = 2, head_width = 3, width = 4;
  const auto windows = pool_windows(seq, true, true);
  const Integers segments = {2, 0, 0, 1, 1, 1, 0, 2, 0, 0, 0, 0, 1, 1};
  Vector factors(batch * heads * pooled * seq, 1.0 / 0.7);
  for (size_t i = 0; i < factors.size(); i += 3) factors[i] = 0;
  return {.batch = batch,
          .queries = pooled,
          .keys = seq,
          .heads = heads,
          .head_width = head_width,
          .width = width,
          .q = random_vector(batch * pooled * heads * head_width, 20),
          .k = random_vector(batch * seq * heads * head_width, 21),
          .v = random_vector(batch * seq * heads * head_width, 22),
          .query_positions = block_positions(seq, 1, true, true),
          .key_positions = block_positions(seq, 0, true, true),
          .position_kernel = random_vector(width * heads * head_width, 23),
          .content_bias = random_vector(heads * head_width, 24),
          .position_bias = random_vector(heads * head_width, 25),
          .segment_bias = random_vector(heads * head_width, 26),
          .segment_embedding = random_vector(2 * heads * head_width, 27),
          .query_segments = pool_first(segments, windows, batch, seq),
          .key_segments = segments,
          .hidden = {0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0},
          .cls_mask = cls_mask,
          .probability_factors = factors,
          .position_factors = random_vector((2 * 8 + 1) * width, 28),
          .position_factor_range = 8};
}

class ReferenceAttention : public testing::TestWithParam<bool> {};

TEST_P(ReferenceAttention, Backward) {
  RelativeAttention a = pooled_attention(GetParam());
  const Vector dcontext = random_vector(a.q.size(), 29);
  const AttentionGradient gradient = attention_backward(a, attention_forward(a), dcontext);
  const auto f = [&] { return dot(attention_forward(a).context, dcontext); };
  expect_gradient(a.q, gradient.dq, f);
  expect_gradient(a.k, gradient.dk, f);
  expect_gradient(a.v, gradient.dv, f);
  expect_gradient(a.position_kernel, gradient.dposition_kernel, f);
  expect_gradient(a.content_bias, gradient.dcontent_bias, f);
  expect_gradient(a.position_bias, gradient.dposition_bias, f);
  expect_gradient(a.segment_bias, gradient.dsegment_bias, f);
  expect_gradient(a.segment_embedding, gradient.dsegment_embedding, f);
}

INSTANTIATE_TEST_SUITE_P(ClsMask, ReferenceAttention, testing::Bool());

TEST(Reference, GatherAndScatter) {
  Vector table = random_vector(5 * 2, 30);
  const Integers indices = {4, 0, 4};
  const Vector dy = random_vector(3 * 2, 31);
  expect_gradient(table, scatter_add_rows(dy, indices, 5, 2),
                  [&] { return dot(gather_rows(table, indices, 2), dy); });
}

// Worked example of the reference form: one weight, three gradients.
TEST(Reference, AdamReferenceForm) {
  AdamState state{.weights = {1.0}, .m = {0.0}, .v = {0.0}};
  const AdamSettings settings{.learning_rate = 1e-3, .weight_decay = 0.01};
  const Vector gradients = {0.1, -0.2, 0.05};
  const Vector expected = {0.998990099990, 0.999348274237, 0.999478693564};
  for (int64_t step = 0; step < 3; ++step) {
    adam_reference_form(state, {gradients[step]}, settings, step);
    EXPECT_NEAR(state.weights[0], expected[step], 1e-12);
  }
}

// By hand: the first step of the usual form moves by lr sign(g) whatever |g|.
TEST(Reference, OtherAdamForms) {
  const AdamSettings settings{.learning_rate = 1e-2, .epsilon = 0.0, .weight_decay = 0.1};
  AdamState usual{.weights = {2.0}, .m = {0.0}, .v = {0.0}};
  adam_usual_form(usual, {0.3}, settings, 0);
  EXPECT_NEAR(usual.weights[0], 2.0 - 1e-2 * (0.1 * 2.0) - 1e-2, 1e-14);
  AdamState uncorrected{.weights = {2.0}, .m = {0.0}, .v = {0.0}};
  adam_uncorrected_form(uncorrected, {0.3}, settings);
  EXPECT_NEAR(uncorrected.weights[0], 2.0 - 1e-2 * (0.1 / std::sqrt(0.01) + 0.2), 1e-14);
}

TEST(Reference, Schedule) {
  const ScheduleSettings settings{.peak = 1e-4, .warmup_steps = 10000, .total_steps = 1000000};
  const std::vector<std::pair<int64_t, double>> expected = {
      {0, 0.0},      {1, 1e-8},      {5000, 5e-5},  {9999, 9.999e-5},
      {10000, 1e-4}, {505000, 5e-5}, {1000000, 0.0}};
  for (const auto& [step, rate] : expected) {
    EXPECT_NEAR(learning_rate(settings, step), rate, 1e-18);
  }
}

TEST(Reference, SampleTokens) {
  // A uniform close to 1 gives the largest Gumbel number.
  EXPECT_EQ(sample_tokens({0, 0, 0, 9, 0, 0}, {0.5, 0.999, 0.5, 0.5, 0.5, 0.5}, 2, 3),
            (Integers{1, 0}));
  const ReplacedTokens out = replace_tokens({7, 8, 9}, {0, 2}, {7, 1}, true);
  EXPECT_EQ(out.ids, (Integers{7, 8, 1}));
  EXPECT_EQ(out.labels, (Integers{1, 1, 0}));
}

}  // namespace
}  // namespace funnel::ref
