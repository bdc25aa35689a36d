// SPDX-License-Identifier: Apache-2.0
// Oracles: Dropout::factor for the fast path, Random123 for the batch of words, and the statistics
// that dropout promises.
#include "core/ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/backend/cpu/philox_batch.h"
#include "tests/reference/pointwise.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

Dropout make_dropout(double rate, int64_t step = 7, int64_t first = 0, const char* site = "site") {
  return Dropout(rate, RandomStream(11, Site(site), step), first);
}

TEST(PhiloxWords, AreThoseOfSingleCalls) {
  const RandomStream stream(3, Site("words"), (int64_t{1} << 40) + 5);
  for (uint64_t first : {uint64_t{0}, uint64_t{0xfffffffd}, uint64_t{1} << 45, ~uint64_t{0} - 2}) {
    for (int64_t calls : {0, 1, 7, 8, 9, 31}) {
      std::vector<uint32_t> words(4 * calls + 1, 0xabcdefu);
      philox_words(stream, first, calls, words.data());
      for (int64_t call = 0; call < calls; ++call) {
        const RandomBits bits = stream.bits(first + call);
        for (int w = 0; w < 4; ++w) ASSERT_EQ(words[4 * call + w], bits.word[w]) << call;
      }
      EXPECT_EQ(words.back(), 0xabcdefu) << "wrote past the end";
    }
  }
}

TEST(DropoutFactors, FastPathAsksTheSameQuestion) {
  for (int64_t tensor_first : {int64_t{0}, int64_t{3}, int64_t{1} << 34}) {
    const Dropout dropout = make_dropout(0.3, 7, tensor_first);
    for (int64_t first : {0, 1, 5, 8, 509}) {
      for (int64_t n : {0, 1, 7, 31, 512, 1000}) {
        std::vector<float> factors(n + 1, -1.0f);
        fill_dropout_factors(dropout, first, n, factors.data());
        for (int64_t i = 0; i < n; ++i) ASSERT_EQ(factors[i], dropout.factor(first + i)) << i;
        EXPECT_EQ(factors.back(), -1.0f) << "wrote past the end";
      }
    }
  }
}

// The keep probability is a multiple of 1/65536 and the scale its inverse.
TEST(Dropout, RateIsRoundedAndMeanUnbiased) {
  for (double rate : {0.1, 0.15, 0.5, 0.9, 0.9999999}) {
    const Dropout dropout = make_dropout(rate);
    const double keep = 1.0 - dropout.threshold / 65536.0;
    EXPECT_NEAR(keep, 1 - rate, rate < 0.99 ? 0.5 / 65536 : 1.0 / 65536);
    EXPECT_FLOAT_EQ(dropout.scale, static_cast<float>(1 / keep));
  }
  EXPECT_FALSE(Dropout().active());
  EXPECT_FALSE(make_dropout(0.0).active());
  EXPECT_THROW(make_dropout(1.0), Error);
  EXPECT_THROW(make_dropout(-0.1), Error);
  EXPECT_THROW(make_dropout(NAN), Error);
}

constexpr int64_t kDraws = 1 << 20;

std::vector<float> draw(const Dropout& dropout) {
  std::vector<float> factors(kDraws);
  fill_dropout_factors(dropout, 0, kDraws, factors.data());
  return factors;
}

double kept_share(const std::vector<float>& factors) {
  int64_t kept = 0;
  for (float factor : factors) kept += factor != 0;
  return static_cast<double>(kept) / factors.size();
}

// Five standard deviations of a binomial share.
TEST(Dropout, KeepsItsShare) {
  for (double rate : {0.1, 0.5, 0.9}) {
    const double deviation = std::sqrt(rate * (1 - rate) / kDraws);
    EXPECT_NEAR(kept_share(draw(make_dropout(rate))), 1 - rate, 5 * deviation + 1.0 / 65536);
  }
}

// Correlation of kept-or-not between two sequences of draws.
double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  const double keep = kept_share(a);
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    total += ((a[i] != 0) - keep) * ((b[i] != 0) - keep);
  }
  return total / (a.size() * keep * (1 - keep));
}

TEST(Dropout, NeighboursStepsSitesAndSeedsAreIndependent) {
  const std::vector<float> base = draw(make_dropout(0.3));
  const double bound = 5 / std::sqrt(static_cast<double>(kDraws));
  for (int shift : {1, 2, 3, 4, 7, 8, 16, 768}) {
    std::vector<float> shifted(base.begin() + shift, base.end());
    shifted.insert(shifted.end(), base.begin(), base.begin() + shift);
    EXPECT_LT(std::abs(correlation(base, shifted)), bound) << "shift " << shift;
  }
  EXPECT_LT(std::abs(correlation(base, draw(make_dropout(0.3, 8)))), bound) << "next step";
  EXPECT_LT(std::abs(correlation(base, draw(make_dropout(0.3, 7, 0, "other")))), bound) << "site";
  const Dropout other_seed(0.3, RandomStream(12, Site("site"), 7), 0);
  EXPECT_LT(std::abs(correlation(base, draw(other_seed))), bound) << "seed";
}

// A rank that holds the second half of the batch draws what one rank would have drawn there.
TEST(Dropout, DependsOnThePositionInTheGlobalBatchOnly) {
  const std::vector<float> whole = draw(make_dropout(0.2));
  const Dropout second = make_dropout(0.2, 7, 1003);
  for (int64_t i = 0; i < 500; ++i) ASSERT_EQ(second.factor(i), whole[1003 + i]) << i;
}

class ApplyDropout : public ::testing::TestWithParam<std::tuple<DType, int64_t>> {};

TEST_P(ApplyDropout, MultipliesByTheFactors) {
  const auto [dtype, n] = GetParam();
  Context& context = context_under_test();
  const OwnedTensor x = random_tensor({n}, dtype, 1);
  const OwnedTensor y({n}, dtype);
  const Dropout dropout = make_dropout(0.3, 7, 5);
  std::vector<double> factors;
  for (int64_t i = 0; i < n; ++i) factors.push_back(dropout.factor(i));

  apply_dropout(context, dropout, x, y);
  const std::vector<double> expected = ref::multiply(x.values(), factors);
  expect_close("y", y.values(), expected, tolerance_of(dtype, Kind::elementwise));

  const OwnedTensor in_place(x.tensor().shape(), dtype, x.values());
  apply_dropout(context, dropout, in_place, in_place);
  EXPECT_TRUE(same_bits(in_place, y));

  apply_dropout(context, Dropout(), x, y);
  EXPECT_TRUE(same_bits(x, y));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ApplyDropout,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                                            ::testing::Values(0, 1, 31, 33, 1000, 9001)));

}  // namespace
}  // namespace funnel
