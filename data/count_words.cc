// SPDX-License-Identifier: Apache-2.0
#include "data/count_words.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/error.h"
#include "data/tokenizer_words.h"

namespace funnel {
namespace {

// Text that a thread reads at a time.
constexpr int64_t kBatchBytes = int64_t{1} << 20;

class SharedReader {
 public:
  explicit SharedReader(DocumentReader& reader) : reader_(reader) {}

  // The next documents and their batch's number; none at the end, and after an error.
  std::optional<int64_t> next(std::vector<TextDocument>& documents) {
    const std::lock_guard lock(mutex_);
    documents.clear();
    if (error_) return std::nullopt;
    const int64_t batch = batches_++;
    try {
      const int64_t begin = reader_.bytes();
      TextDocument document;
      while (reader_.bytes() - begin < kBatchBytes && reader_.next(document)) {
        documents.push_back(std::move(document));
        document = {};
      }
    } catch (...) {
      // What was read before comes first in the text, and may hold an error of its own.
      keep_first(batch + 1, std::current_exception());
    }
    if (documents.empty()) return std::nullopt;
    return batch;
  }

  void fail(int64_t batch, std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    keep_first(batch, std::move(error));
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void keep_first(int64_t batch, std::exception_ptr error) {
    if (error_ && error_batch_ <= batch) return;
    error_ = std::move(error);
    error_batch_ = batch;
  }

  DocumentReader& reader_;
  std::mutex mutex_;
  int64_t batches_ = 0;
  std::exception_ptr error_;
  int64_t error_batch_ = 0;
};

void count(SharedReader& reader, const WordCountConfig& config, WordCounter& counter) {
  const WordSplitter splitter(config.rules);
  Words words;
  std::vector<TextDocument> documents;
  while (const std::optional<int64_t> batch = reader.next(documents)) {
    try {
      for (const TextDocument& document : documents) {
        for (int64_t line = 0; line < document.lines(); ++line) {
          splitter.split(document.line(line), document.place(line), words);
          for (size_t i = 0; i < words.size(); ++i) {
            const std::string_view word = words[i];
            if (static_cast<int64_t>(word.size()) > config.max_word_chars &&
                utf8_characters(word) > config.max_word_chars) {
              continue;
            }
            counter.add(word);
          }
        }
      }
    } catch (...) {
      reader.fail(*batch, std::current_exception());
    }
  }
}

}  // namespace

CountedWords count_words(DocumentReader& reader, const WordCountConfig& config) {
  FUNNEL_CHECK_INPUT(config.threads >= 1, "threads: expected at least 1, found ", config.threads);
  SharedReader shared(reader);
  std::vector<WordCounter> counters;
  for (int i = 0; i < config.threads; ++i) {
    counters.emplace_back(std::max<int64_t>(1, config.max_words / config.threads), config.folder);
  }
  std::vector<std::thread> others;
  for (int i = 1; i < config.threads; ++i) {
    others.emplace_back([&, i] { count(shared, config, counters[static_cast<size_t>(i)]); });
  }
  count(shared, config, counters[0]);
  for (std::thread& other : others) other.join();
  shared.rethrow();
  return merge_counts(counters, config.min_count, config.max_words);
}

}  // namespace funnel
