// SPDX-License-Identifier: Apache-2.0
// Counts words exactly in bounded memory: a full table goes, sorted, to a temporary file; at the
// end tables and files are merged. The result depends on the words added alone, not on the limit,
// nor on how they were spread over counters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/word_table.h"

namespace funnel {

class SortedWords;  // a table or a file, read in the order of the words

// Words in the order of their bytes, each with how often it was counted.
struct CountedWords {
  std::string bytes;  // one word after the other
  std::vector<size_t> ends;
  std::vector<int64_t> counts;
  int64_t dropped_words = 0;  // too rare to be here
  int64_t dropped_uses = 0;   // how often they were counted

  int64_t size() const { return static_cast<int64_t>(counts.size()); }
  std::string_view word(int64_t i) const {
    const size_t begin = i == 0 ? 0 : ends[static_cast<size_t>(i - 1)];
    return std::string_view(bytes).substr(begin, ends[static_cast<size_t>(i)] - begin);
  }
  void add(std::string_view word, int64_t count);
};

class WordCounter {
 public:
  // Holds at most `most_words` distinct words; files lie in `folder` and have no name, so that they
  // go with the process.
  WordCounter(int64_t most_words, std::filesystem::path folder);
  ~WordCounter();
  WordCounter(WordCounter&&) noexcept;

  // Throws an input error when there is no more room in the folder.
  void add(std::string_view word, int64_t count = 1);

  int64_t spilled_files() const { return static_cast<int64_t>(files_.size()); }

 private:
  friend CountedWords merge_counts(std::span<WordCounter> counters, int64_t min_count,
                                   int64_t most_words);
  void spill();

  int64_t most_words_;
  std::filesystem::path folder_;
  WordTable table_;
  std::vector<std::unique_ptr<SortedWords>> files_;
};

// The sums of all counters: the `most_words` most frequent words that were counted at least
// `min_count` times; of equals, those that come first in the order of their bytes.
CountedWords merge_counts(std::span<WordCounter> counters, int64_t min_count, int64_t most_words);

}  // namespace funnel
