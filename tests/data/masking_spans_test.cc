// SPDX-License-Identifier: Apache-2.0
// Oracle: words counted by hand; the distributions that tensorflow/input_func_builder.py of
// laiguokun/Funnel-Transformer states for spans. Seeds are fixed; bounds are at least five standard
// deviations wide.
#include "data/masking_spans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/data/small_vocabulary.h"

namespace funnel {
namespace {

RandomSequence sequence(int64_t number) {
  return RandomSequence(RandomStream(5, Site("spans") / number, 0));
}

TEST(MaskingSpans, WordsBeginWhereAPieceDoesNotContinue) {
  const Vocabulary vocabulary = testing::vocabulary_of({"un", "##able", "go", "#", "##"});
  const std::vector<uint8_t> starts = word_starts(vocabulary);
  EXPECT_EQ(starts, (std::vector<uint8_t>{1, 1, 1, 1, 1, 1, 0, 1, 1, 0}));
  // <cls> un ##able go <sep> ##able un <unk> ##able <sep> <pad> <pad>: B was cut in front.
  const std::vector<int32_t> ids{2, 5, 6, 7, 3, 6, 5, 1, 6, 3, 0, 0};
  EXPECT_EQ(words_of(ids, vocabulary.special(), starts),
            (std::vector<MaskingRange>{{1, 3}, {3, 4}, {5, 6}, {6, 7}, {7, 9}}));
  EXPECT_TRUE(words_of({}, vocabulary.special(), starts).empty());
}

TEST(MaskingSpans, AreDisjointAndInside) {
  for (const double chunk : {1.0, 1.3, 5.0, 6.02}) {
    for (int64_t number = 0; number < 200; ++number) {
      RandomSequence random = sequence(number);
      std::vector<MaskingRange> spans =
          draw_spans({.units = 97, .count = 40, .chunk = chunk}, random);
      std::sort(spans.begin(), spans.end(),
                [](const auto& a, const auto& b) { return a.begin < b.begin; });
      for (size_t i = 0; i < spans.size(); ++i) {
        EXPECT_GE(spans[i].begin, i == 0 ? 0 : spans[i - 1].end);
        EXPECT_LE(spans[i].end, 97);
      }
      EXPECT_GE(spans.size(), 1u);
    }
  }
}

TEST(MaskingSpans, LengthsHaveTheirProbabilities) {
  // 1/2 1/3 1/4 1/5 1/6 of 1.45: the stated .345 .230 .172 .138 .115 with mean 2.448.
  const std::array<double, 5> stated{0.345, 0.230, 0.172, 0.138, 0.115};
  std::array<double, 5> counts{};
  double total = 0, sum = 0;
  for (int64_t number = 0; number < 4000; ++number) {
    RandomSequence random = sequence(number);
    // So many units that none is dropped.
    for (const MaskingRange& span :
         draw_spans({.units = 1 << 20, .count = 50, .chunk = 6}, random)) {
      counts.at(static_cast<size_t>(span.end - span.begin - 1)) += 1;
      sum += static_cast<double>(span.end - span.begin);
      total += 1;
    }
  }
  EXPECT_EQ(total, 200000);
  EXPECT_NEAR(sum / total, 2.448, 0.016);  // deviation 0.0032
  double chi_square = 0;
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(counts[i] / total, stated[i], 0.0055);
    const double expected = total / (static_cast<double>(i + 2) * 1.45);
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 23.5);  // of 4 degrees: exceeded once in 10000
}

TEST(MaskingSpans, LengthsAreFields) {
  RandomSequence random = sequence(0);
  std::array<double, 2> counts{};
  for (const MaskingRange& span :
       draw_spans({.units = 1 << 20, .count = 10000, .chunk = 4, .min_length = 3, .max_length = 4},
                  random)) {
    counts.at(static_cast<size_t>(span.end - span.begin - 3)) += 1;
  }
  EXPECT_EQ(counts[0] + counts[1], 10000);
  EXPECT_NEAR(counts[0], 10000 * 5.0 / 9, 250);  // 1/4 against 1/5: deviation 50
}

TEST(MaskingSpans, OffsetsAreUniformInTheChunk) {
  // Spans of one in chunks of 9: offsets 0 .. 8 in steps of a half at both ends.
  std::array<double, 9> counts{};
  int64_t total = 0;
  for (int64_t number = 0; number < 400; ++number) {
    RandomSequence random = sequence(number);
    for (const MaskingRange& span : draw_spans(
             {.units = 900, .count = 100, .chunk = 9, .min_length = 1, .max_length = 1}, random)) {
      counts.at(static_cast<size_t>(span.begin % 9)) += 1;
      ++total;
    }
  }
  EXPECT_EQ(total, 40000);
  for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(counts[i], i == 0 || i == 8 ? 2500 : 5000, 360);
}

TEST(MaskingSpans, OrderIsRandom) {
  std::array<double, 10> first{};
  for (int64_t number = 0; number < 10000; ++number) {
    RandomSequence random = sequence(number);
    const std::vector<MaskingRange> spans = draw_spans(
        {.units = 20, .count = 10, .chunk = 2, .min_length = 1, .max_length = 1}, random);
    ASSERT_EQ(spans.size(), 10u);
    first.at(static_cast<size_t>(spans[0].begin / 2)) += 1;
  }
  for (double count : first) EXPECT_NEAR(count, 1000, 150);  // deviation 30
}

}  // namespace
}  // namespace funnel
