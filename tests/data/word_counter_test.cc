// SPDX-License-Identifier: Apache-2.0
// Oracle: std::map. Counts must not depend on the memory allowed, nor on how words are spread over
// counters and threads.
#include "data/word_counter.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "data/count_words.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

using Counts = std::map<std::string, int64_t>;

Counts content(const CountedWords& words) {
  Counts counts;
  std::string last;
  for (int64_t i = 0; i < words.size(); ++i) {
    const std::string word(words.word(i));
    EXPECT_TRUE(i == 0 || last < word);
    counts[word] = words.counts[static_cast<size_t>(i)];
    last = word;
  }
  return counts;
}

// 30000 draws of up to 3000 words of any bytes, common ones more often; one is long.
std::vector<std::string> random_words() {
  std::mt19937 random(5);
  std::vector<std::string> kinds{std::string(2 << 20, 'x')};
  while (kinds.size() < 3000) {
    std::string word(1 + random() % 12, ' ');
    for (char& byte : word) byte = static_cast<char>(random() % 256);
    kinds.push_back(word);
  }
  std::vector<std::string> words(kinds.begin(), kinds.begin() + 1);
  for (int i = 0; i < 30000; ++i) words.push_back(kinds[random() % (1 + random() % 2999)]);
  return words;
}

TEST(WordCounter, EqualsAMapAtAnyLimitAndSpread) {
  const testing::TemporaryFolder folder;
  const std::vector<std::string> words = random_words();
  Counts expected;
  for (const std::string& word : words) ++expected[word];
  for (const int64_t limit : {100000, 1000, 97}) {
    for (const size_t spread : {1, 3}) {
      std::vector<WordCounter> counters;
      for (size_t i = 0; i < spread; ++i) counters.emplace_back(limit, folder.path());
      for (size_t i = 0; i < words.size(); ++i) counters[i * 7 % spread].add(words[i]);
      EXPECT_EQ(counters[0].spilled_files() > 0, limit <= 1000);
      const CountedWords merged = merge_counts(counters, 1, 1 << 20);
      EXPECT_EQ(content(merged), expected);
      EXPECT_EQ(merged.dropped_words, 0);
    }
  }
  // Spilled counts leave nothing behind.
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(WordCounter, KeepsTheMostFrequent) {
  const testing::TemporaryFolder folder;
  std::vector<WordCounter> counters;
  counters.emplace_back(2, folder.path());
  counters.emplace_back(2, folder.path());
  for (const char* word : {"d", "a", "c", "b", "d", "b", "d", "e", "c"}) counters[0].add(word);
  counters[1].add("b", 10);
  const auto kept = [&](int64_t min_count, int64_t most_words) {
    return content(merge_counts(counters, min_count, most_words));
  };
  EXPECT_EQ(kept(1, 9), (Counts{{"a", 1}, {"b", 12}, {"c", 2}, {"d", 3}, {"e", 1}}));
  EXPECT_EQ(kept(2, 9), (Counts{{"b", 12}, {"c", 2}, {"d", 3}}));
  EXPECT_EQ(kept(1, 2), (Counts{{"b", 12}, {"d", 3}}));
  // Of "a" and "e" the first in order.
  EXPECT_EQ(kept(1, 4), (Counts{{"a", 1}, {"b", 12}, {"c", 2}, {"d", 3}}));
  const CountedWords words = merge_counts(counters, 1, 2);
  EXPECT_EQ(words.dropped_words, 3);
  EXPECT_EQ(words.dropped_uses, 4);
  EXPECT_EQ(kept(99, 9), Counts{});
}

TEST(WordCounter, Errors) {
  WordCounter counter(1, "/nowhere");
  testing::expect_error(ExitCode::kUsage, {"/nowhere", "No such file"}, [&] { counter.add("a"); });
  testing::expect_error(ExitCode::kUsage, {"at least 1", "found 0"}, [] { WordCounter(0, "."); });
}

// Documents of a few megabytes, so that every thread gets some.
std::string long_text() {
  std::mt19937 random(9);
  std::string text;
  while (text.size() < 5'000'000) {
    for (int i = 0; i < 12; ++i) text += "Word" + std::to_string(random() % 5000) + ' ';
    text += random() % 5 == 0 ? "\n\n" : "\n";
  }
  return text;
}

TEST(CountWords, DoesNotDependOnThreadsOrMemory) {
  const testing::TemporaryFolder folder;
  const std::string text = long_text();
  const auto count = [&](int threads, int64_t max_words) {
    DocumentReader reader(TextFile{.path = "text"}, text);
    return content(
        count_words(reader, {.max_words = max_words, .folder = folder.path(), .threads = threads}));
  };
  const Counts all = count(1, 1 << 20);
  EXPECT_EQ(all.size(), 5000u);
  EXPECT_TRUE(all.contains("word17"));
  EXPECT_EQ(count(4, 1 << 20), all);
  const Counts few = count(1, 500);
  EXPECT_EQ(few.size(), 500u);
  EXPECT_EQ(count(3, 500), few);
}

TEST(CountWords, TheFirstErrorOfTheTextIsTold) {
  std::string text = long_text();
  const auto lines_before = [&](size_t end) {
    return std::count(text.begin(), text.begin() + static_cast<int64_t>(end), '\n');
  };
  text[4'000'000] = '\xff';
  text[2'500'000] = '\xff';
  for (int run = 0; run < 5; ++run) {
    DocumentReader reader(TextFile{.path = "text"}, text);
    testing::expect_error(ExitCode::kUsage,
                          {concat("text:", lines_before(2'500'000) + 1, ":"), "UTF-8"},
                          [&] { count_words(reader, {.threads = 3}); });
  }
}

}  // namespace
}  // namespace funnel
