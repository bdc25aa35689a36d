// SPDX-License-Identifier: Apache-2.0
// Oracles: the naive reference fed with the same uniform numbers, and the softmax that the draws
// must follow.
#include "core/ops/sampling.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/ops/vocabulary_loss.h"
#include "tests/reference/losses.h"
#include "tests/reference/sampling.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

RandomStream test_stream(int64_t step = 3) {
  return RandomStream(11, Site("sampling"), step);
}

ref::Integers sample(const Tensor& logits, const RandomStream& stream, int64_t first_row = 0) {
  const int64_t rows = logits.rows();
  const OwnedTensor targets({rows}, DType::i32, std::vector<double>(rows, kNoTarget));
  const OwnedTensor loss({rows}, compute_dtype(logits.dtype())), correct({rows}, DType::u8);
  const OwnedTensor samples({rows}, DType::i32);
  vocabulary_loss(context_under_test(), {.logits = logits,
                                         .targets = targets,
                                         .loss = loss,
                                         .correct = correct,
                                         .samples = samples,
                                         .stream = stream,
                                         .first_row = first_row});
  return integers_of(samples);
}

// The uniform numbers as the contract places them, one Philox call at a time.
ref::Vector uniforms(const RandomStream& stream, int64_t first_row, int64_t rows, int64_t vocab) {
  ref::Vector u;
  const int64_t calls = (vocab + 3) / 4;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t v = 0; v < vocab; ++v) {
      const RandomBits bits = stream.bits((first_row + r) * calls + v / 4);
      u.push_back(uniform01(bits.word[v % 4]));
    }
  }
  return u;
}

TEST(SampleTokens, AgreesWithReference) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (const auto& [rows, vocab] :
         {std::pair{50, 1}, std::pair{50, 2}, std::pair{50, 31}, std::pair{50, 33},
          std::pair{50, 256}, std::pair{50, 257}, std::pair{50, 1000}, std::pair{3, 30522}}) {
      SCOPED_TRACE(::testing::Message() << rows << " x " << vocab << ' ' << name_of(dtype));
      const OwnedTensor logits = random_tensor({rows, vocab}, dtype, vocab, 0, 2);
      const ref::Vector u = uniforms(test_stream(), 5, rows, vocab);
      EXPECT_EQ(sample(logits, test_stream(), 5),
                ref::sample_tokens(logits.values(), u, rows, vocab));
    }
  }
}

TEST(SampleTokens, RowsDoNotDependOnTheBatch) {
  const int64_t rows = 33, vocab = 1001;
  const OwnedTensor logits = random_tensor({rows, vocab}, DType::f32, 1);
  const ref::Integers whole = sample(logits, test_stream());
  ref::Integers pieces;
  for (const auto& [first, count] : {std::pair{0, 1}, std::pair{1, 15}, std::pair{16, 17}}) {
    const Tensor piece = logits.tensor().slice(first * vocab, {count, vocab});
    const ref::Integers drawn = sample(piece, test_stream(), first);
    pieces.insert(pieces.end(), drawn.begin(), drawn.end());
  }
  EXPECT_EQ(whole, pieces);
}

TEST(SampleTokens, StepsDrawAnew) {
  const OwnedTensor logits = zero_tensor({50, 1000}, DType::f32);
  EXPECT_NE(sample(logits, test_stream(3)), sample(logits, test_stream(4)));
}

// Frequencies of 20,000 draws against the softmax: chi-squared with 12 degrees of freedom exceeds
// 32.9 once in a thousand seeds; this seed is fixed.
TEST(SampleTokens, FollowsTheSoftmax) {
  const int64_t rows = 20000, vocab = 13;
  const ref::Vector row = random_values(vocab, 9, 0, 1.5);
  ref::Vector all;
  for (int64_t r = 0; r < rows; ++r) all.insert(all.end(), row.begin(), row.end());
  const OwnedTensor logits({rows, vocab}, DType::f32, all);
  ref::Vector counts(vocab);
  for (const int64_t token : sample(logits, test_stream())) counts.at(token) += 1;
  const ref::Vector softmax = ref::softmax_forward(row, 1, vocab);
  double chi_squared = 0;
  for (int64_t v = 0; v < vocab; ++v) {
    const double expected = softmax[v] * rows;
    chi_squared += (counts[v] - expected) * (counts[v] - expected) / expected;
  }
  EXPECT_LT(chi_squared, 32.9);
}

TEST(SampleTokens, Extremes) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const OwnedTensor logits({5, 4}, DType::f32, {-INFINITY, -INFINITY, 0,         -INFINITY,  //
                                                -INFINITY, -INFINITY, -INFINITY, -INFINITY,  //
                                                0,         1,         INFINITY,  INFINITY,   //
                                                nan,       nan,       -1e30,     nan,        //
                                                nan,       nan,       nan,       nan});
  EXPECT_EQ(sample(logits, test_stream()), (ref::Integers{2, 0, 2, 2, 0}));
}

// Equal scores far apart: the smallest token wins, within a block of draws and across blocks.
TEST(SampleTokens, TiesGoToTheSmallestToken) {
  const int64_t vocab = 1000;
  ref::Vector values(vocab, 0.0);
  for (const int64_t v : {300, 301, 900}) values[v] = 1e30;  // swamps the noise
  const OwnedTensor logits({1, vocab}, DType::f32, values);
  EXPECT_EQ(sample(logits, test_stream()), (ref::Integers{300}));
}

TEST(ReplaceTokens, EqualsReference) {
  Context& context = context_under_test();
  const int64_t batch = 3, seq = 33;
  const OwnedTensor ids = random_integers({batch, seq}, DType::i32, 4, 1);
  std::vector<double> positions;
  for (int64_t row = 0; row < batch * seq; row += 3) positions.push_back(row);
  const int64_t n = static_cast<int64_t>(positions.size());
  const OwnedTensor rows({n}, DType::i32, positions);
  const OwnedTensor samples = random_integers({n}, DType::i32, 4, 2);
  for (const bool one_is_original : {true, false}) {
    const OwnedTensor replaced({batch, seq}, DType::i32), labels({batch, seq}, DType::u8);
    replace_tokens(context, {.input_ids = ids,
                             .rows = rows,
                             .samples = samples,
                             .targets = {},
                             .label_one_is_original = one_is_original,
                             .replaced_ids = replaced,
                             .labels = labels});
    const auto expected = ref::replace_tokens(integers_of(ids), integers_of(rows),
                                              integers_of(samples), one_is_original);
    EXPECT_EQ(integers_of(replaced), expected.ids);
    EXPECT_EQ(integers_of(labels), expected.labels);
  }
}

TEST(ReplaceTokens, PassesOverAbsentTargets) {
  Context& context = context_under_test();
  const OwnedTensor ids({1, 5}, DType::i32, {5, 6, 7, 8, 9});
  const OwnedTensor rows({3}, DType::i32, {1, 2, 4}), samples({3}, DType::i32, {1, 7, 3});
  const OwnedTensor targets({3}, DType::i32, {6, 7, kNoTarget});
  const OwnedTensor replaced({1, 5}, DType::i32), labels({1, 5}, DType::u8);
  replace_tokens(context, {.input_ids = ids,
                           .rows = rows,
                           .samples = samples,
                           .targets = targets,
                           .replaced_ids = replaced,
                           .labels = labels});
  EXPECT_EQ(integers_of(replaced), (ref::Integers{5, 1, 7, 8, 9}));
  EXPECT_EQ(integers_of(labels), (ref::Integers{1, 0, 1, 1, 1}));
}

// On the CPU they are refused, on a device passed over.
TEST(ReplaceTokens, PositionsOutsideTheText) {
  Context& context = context_under_test();
  const OwnedTensor ids = zero_tensor({2, 4}, DType::i32);
  const OwnedTensor samples({1}, DType::i32, {3});
  const OwnedTensor replaced({2, 4}, DType::i32), labels({2, 4}, DType::u8);
  for (const double row : {-1.0, 8.0}) {
    const OwnedTensor rows({1}, DType::i32, {row});
    const ReplaceTokens args{.input_ids = ids,
                             .rows = rows,
                             .samples = samples,
                             .targets = {},
                             .replaced_ids = replaced,
                             .labels = labels};
    if (device_under_test() == Device::cpu) {
      EXPECT_THROW(replace_tokens(context, args), Error);
    } else {
      replace_tokens(context, args);
      EXPECT_TRUE(same_bits(replaced, ids));
    }
  }
}

TEST(CountLabels, PaddingDoesNotCount) {
  Context& context = context_under_test();
  const OwnedTensor labels({5}, DType::u8, {0, 1, 0, 1, 1});
  const OwnedTensor padded({5}, DType::u8, {0, 0, 1, 1, 0});
  const OwnedTensor counted({5}, DType::u8);
  count_labels(context, labels, padded, 1, counted);
  EXPECT_EQ(integers_of(counted), (ref::Integers{0, 1, 0, 0, 1}));
  count_labels(context, labels, padded, 0, counted);
  EXPECT_EQ(integers_of(counted), (ref::Integers{1, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace funnel::testing
