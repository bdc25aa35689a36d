// SPDX-License-Identifier: Apache-2.0
// Oracle: merges worked out by hand.
#include "data/vocabulary_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/count_words.h"
#include "data/vocabulary.h"
#include "tests/data/expect_error.h"

namespace funnel {
namespace {

std::vector<std::string> train(const std::vector<std::string>& lines,
                               VocabularyTrainerConfig config, int64_t max_word_chars = 100) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  DocumentReader reader(TextFile{.path = "text"}, text);
  const CountedWords words = count_words(reader, {.rules = {}, .max_word_chars = max_word_chars});
  std::vector<std::string> pieces = train_vocabulary(words, config);
  // The special pieces come first, always.
  EXPECT_TRUE(std::equal(special_pieces().begin(), special_pieces().end(), pieces.begin()));
  pieces.erase(pieces.begin(), pieces.begin() + 5);
  return pieces;
}

using List = std::vector<std::string>;

// Sennrich et al.'s example (2016): low x5, lower x2, newest x6, widest x3.
const List kSennrich{"low low low low low lower lower",
                     "newest newest newest newest newest newest widest widest widest"};

TEST(VocabularyTrainer, HandComputedMerges) {
  // Ten characters, eight of them also continue words. Pairs of neighbours by count:
  //   ##e ##s 9 and ##s ##t 9, of which ##e has the smaller id -> ##es; ##es ##t 9 -> ##est;
  //   l ##o 7 and ##o ##w 7, of which l has the smaller id -> lo; lo ##w 7 -> low;
  //   n ##e 6, ##e ##w 6 and ##w ##est 6 -> ne; ##w ##est 6 and ne ##w 6, of which ne is the newer
  //   piece -> ##west; ne ##west 6 -> newest.
  const List pieces = train(kSennrich, {.size = 5 + 10 + 8 + 7});
  EXPECT_EQ(pieces, (List{"d",    "e",     "i",   "l",   "n",   "o",      "r",     "s",   "t",
                          "w",    "##d",   "##e", "##i", "##o", "##r",    "##s",   "##t", "##w",
                          "##es", "##est", "lo",  "low", "ne",  "##west", "newest"}));
}

TEST(VocabularyTrainer, StopsAtMinFrequency) {
  const List pieces = train(kSennrich, {.size = 1000, .min_frequency = 4});
  EXPECT_EQ(pieces.back(), "newest");
  const List all = train(kSennrich, {.size = 1000, .min_frequency = 1});
  EXPECT_NE(std::find(all.begin(), all.end(), "widest"), all.end());
  EXPECT_NE(std::find(all.begin(), all.end(), "lower"), all.end());
}

TEST(VocabularyTrainer, DoesNotDependOnTheOrderOfTheText) {
  List reversed(kSennrich.rbegin(), kSennrich.rend());
  EXPECT_EQ(train(kSennrich, {.size = 28}), train(reversed, {.size = 28}));
}

TEST(VocabularyTrainer, RepeatedCharacters) {
  // aaaa: a ##a ##a ##a. Pairs: a ##a 2, ##a ##a 4 -> ##aa (a ##aa ##a), then a ##aa 2 and ##aa ##a
  // 2, where a has the smaller id -> aaa; then aaa ##a -> aaaa.
  EXPECT_EQ(train({"aaaa aaaa"}, {.size = 100}), (List{"a", "##a", "##aa", "aaa", "aaaa"}));
}

TEST(VocabularyTrainer, RareCharactersAndLongWordsAreLeftOut) {
  EXPECT_EQ(train({"ab ab ab ax ay"}, {.size = 100, .min_frequency = 9, .max_characters = 2}),
            (List{"a", "b", "##b"}));
  // A character that is dropped in front still makes the next one continue.
  EXPECT_EQ(train({"aa aa aa xb xb"}, {.size = 100, .min_frequency = 9, .max_characters = 1}),
            (List{"a", "##a"}));
  EXPECT_EQ(train({"bbb bbb xb"}, {.size = 100, .min_frequency = 9, .max_characters = 1}),
            (List{"b", "##b"}));
  EXPECT_EQ(train({"ab ab abcdef"}, {.size = 100, .min_frequency = 2}, 3),
            (List{"a", "b", "##b", "ab"}));
}

TEST(VocabularyTrainer, SizeMustHoldTheCharacters) {
  testing::expect_error(ExitCode::kUsage, {"vocabulary size", "at least 8", "found 7"},
                        [] { train({"ab"}, {.size = 7}); });
}

}  // namespace
}  // namespace funnel
