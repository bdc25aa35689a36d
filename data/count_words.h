// SPDX-License-Identifier: Apache-2.0
// Counts the words of documents with several threads: they take turns at reading and split and
// count side by side.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/text_documents.h"
#include "data/tokenizer_characters.h"
#include "data/word_counter.h"

namespace funnel {

struct WordCountConfig {
  WordRules rules = {};
  int64_t max_word_chars = 100;        // longer words are not counted
  int64_t min_count = 1;               // rarer words are dropped
  int64_t max_words = 10'000'000;      // held in memory, and kept: the most frequent ones
  std::filesystem::path folder = ".";  // for counts that do not fit into memory
  int threads = 1;
};

// Reads to the end. The result depends on the text and the limits, not on the threads. Throws what
// the reader throws, and an input error naming the place of bytes that are not UTF-8; of several
// errors, the first in the text.
CountedWords count_words(DocumentReader& reader, const WordCountConfig& config);

}  // namespace funnel
