// SPDX-License-Identifier: Apache-2.0
// Oracle: examples written by hand.
#include "data/example_text.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/data/small_vocabulary.h"

namespace funnel {
namespace {

// Ids 0 to 4 are <pad> <unk> <cls> <sep> <mask>.
const Vocabulary& words() {
  static const Vocabulary vocabulary =
      testing::vocabulary_of({"an", "un", "##aff", "##able", "man", "no", "."});
  return vocabulary;
}

TEST(ExampleText, SegmentsWordsAndPadding) {
  const std::vector<int32_t> ids{2, 5, 6, 7, 8, 9, 3, 10, 11, 3, 0, 0};
  EXPECT_EQ(example_text(words(), ids, 5),
            "  <cls>\n"
            "  A, 5 tokens in 3 words\n"
            "    an un|aff|able man\n"
            "  <sep>\n"
            "  B, 2 tokens in 2 words\n"
            "    no .\n"
            "  <sep>\n"
            "  <pad>, 2 times\n");
}

TEST(ExampleText, OneSegmentWithSeparatorsAndUnknownWords) {
  const std::vector<int32_t> ids{2, 5, 9, 3, 10, 1, 8, 3};
  EXPECT_EQ(example_text(words(), ids, 6),
            "  <cls>\n"
            "  A, 6 tokens in 4 words\n"
            "    an man <sep> no <unk>|able\n"
            "  <sep>\n");
}

// B begins in the middle of a word.
TEST(ExampleText, WordCutInFront) {
  const std::vector<int32_t> ids{2, 5, 3, 8, 9, 3};
  EXPECT_EQ(example_text(words(), ids, 1),
            "  <cls>\n"
            "  A, 1 token in 1 word\n"
            "    an\n"
            "  <sep>\n"
            "  B, 2 tokens in 2 words\n"
            "    |able man\n"
            "  <sep>\n");
}

TEST(ExampleText, LongSegmentsAreWrappedBetweenWords) {
  std::vector<int32_t> ids{2};
  for (int i = 0; i < 40; ++i) ids.insert(ids.end(), {6, 7, 8});
  ids.push_back(3);
  const std::string text = example_text(words(), ids, 120);
  std::string line, joined;
  for (std::istringstream lines(text); std::getline(lines, line);) {
    EXPECT_LE(line.size(), 96u);
    if (line.starts_with("    ")) joined += line.substr(3);
  }
  std::string expected;
  for (int i = 0; i < 40; ++i) expected += " un|aff|able";
  EXPECT_EQ(joined, expected);
}

}  // namespace
}  // namespace funnel
