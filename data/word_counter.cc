// SPDX-License-Identifier: Apache-2.0
#include "data/word_counter.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "core/base/error.h"

namespace funnel {

class SortedWords {
 public:
  virtual ~SortedWords() = default;
  virtual void rewind() = 0;
  // Steps to the next word, the first after rewind(); false at the end.
  virtual bool next() = 0;
  virtual std::string_view word() const = 0;
  virtual int64_t count() const = 0;
};

namespace {

class SortedTable final : public SortedWords {
 public:
  explicit SortedTable(const WordTable& table) : entries_(table.sorted()) {}
  void rewind() override { at_ = 0; }
  bool next() override { return at_++ < entries_.size(); }
  std::string_view word() const override { return entries_[at_ - 1]->word(); }
  int64_t count() const override { return entries_[at_ - 1]->count; }

 private:
  std::vector<const WordTable::Entry*> entries_;
  size_t at_ = 0;
};

// A file of records: size of the word, count, the word.
class SortedFile final : public SortedWords {
 public:
  SortedFile(const WordTable& table, const std::filesystem::path& folder) : folder_(folder) {
    std::string name = (folder / ".words-XXXXXX").string();
    const int descriptor = ::mkstemp(name.data());
    check(descriptor >= 0);
    ::unlink(name.c_str());
    file_ = ::fdopen(descriptor, "w+b");
    check(file_ != nullptr);
    for (const WordTable::Entry* entry : table.sorted()) {
      write(&entry->size, sizeof(entry->size));
      write(&entry->count, sizeof(entry->count));
      write(entry->text, entry->size);
    }
    check(std::fflush(file_) == 0);
  }
  ~SortedFile() override {
    if (file_ != nullptr) std::fclose(file_);
  }
  SortedFile(const SortedFile&) = delete;

  void rewind() override { check(std::fseek(file_, 0, SEEK_SET) == 0); }
  bool next() override {
    uint32_t size = 0;
    if (std::fread(&size, sizeof(size), 1, file_) != 1) {
      check(std::ferror(file_) == 0);
      return false;
    }
    word_.resize(size);
    check(std::fread(&count_, sizeof(count_), 1, file_) == 1);
    check(size == 0 || std::fread(word_.data(), size, 1, file_) == 1);
    return true;
  }
  std::string_view word() const override { return word_; }
  int64_t count() const override { return count_; }

 private:
  void check(bool works) const {
    FUNNEL_CHECK_INPUT(works, folder_.string(),
                       ": cannot keep counted words here: ", std::strerror(errno));
  }
  void write(const void* bytes, size_t size) {
    check(size == 0 || std::fwrite(bytes, size, 1, file_) == 1);
  }

  std::filesystem::path folder_;
  std::FILE* file_ = nullptr;
  std::string word_;
  int64_t count_ = 0;
};

using Sources = std::vector<SortedWords*>;

// Calls take(word, sum of the sources' counts) for every word, in order.
template <class Take>
void for_each_sum(const Sources& sources, const Take& take) {
  // A heap whose front has the least word.
  const auto later = [](const SortedWords* a, const SortedWords* b) {
    return a->word() > b->word();
  };
  Sources heap;
  for (SortedWords* source : sources) {
    source->rewind();
    if (source->next()) heap.push_back(source);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  std::string word;
  int64_t sum = 0;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    SortedWords* least = heap.back();
    if (sum > 0 && least->word() != word) {
      take(std::string_view(word), sum);
      sum = 0;
    }
    if (sum == 0) word = least->word();
    sum += least->count();
    if (least->next()) {
      std::push_heap(heap.begin(), heap.end(), later);
    } else {
      heap.pop_back();
    }
  }
  if (sum > 0) take(std::string_view(word), sum);
}

// Words with at least `count` uses are kept, of those with exactly `count` the first `equals`.
struct Threshold {
  int64_t count;
  int64_t equals;
};

Threshold threshold_of(const Sources& sources, int64_t min_count, int64_t most_words) {
  std::map<int64_t, int64_t, std::greater<>> words_by_count;
  for_each_sum(sources, [&](std::string_view, int64_t count) {
    if (count >= min_count) ++words_by_count[count];
  });
  int64_t left = most_words;
  for (const auto& [count, words] : words_by_count) {
    if (words >= left) return {count, left};
    left -= words;
  }
  return {min_count, left};
}

}  // namespace

void CountedWords::add(std::string_view word, int64_t count) {
  bytes += word;
  ends.push_back(bytes.size());
  counts.push_back(count);
}

WordCounter::WordCounter(int64_t most_words, std::filesystem::path folder)
    : most_words_(most_words), folder_(std::move(folder)) {
  FUNNEL_CHECK_INPUT(most_words >= 1, "words in memory: expected at least 1, found ", most_words);
}

WordCounter::~WordCounter() = default;
WordCounter::WordCounter(WordCounter&&) noexcept = default;

void WordCounter::add(std::string_view word, int64_t count) {
  table_.add(word, count);
  if (table_.size() >= most_words_) spill();
}

void WordCounter::spill() {
  files_.push_back(std::make_unique<SortedFile>(table_, folder_));
  table_.clear();
}

CountedWords merge_counts(std::span<WordCounter> counters, int64_t min_count, int64_t most_words) {
  FUNNEL_CHECK_INPUT(min_count >= 1 && most_words >= 1,
                     "counted words: expected at least one use and one word, found ", min_count,
                     " and ", most_words);
  std::vector<std::unique_ptr<SortedTable>> tables;
  Sources sources;
  for (const WordCounter& counter : counters) {
    tables.push_back(std::make_unique<SortedTable>(counter.table_));
    sources.push_back(tables.back().get());
    for (const auto& file : counter.files_) sources.push_back(file.get());
  }
  Threshold threshold = threshold_of(sources, min_count, most_words);
  CountedWords words;
  for_each_sum(sources, [&](std::string_view word, int64_t count) {
    if (count > threshold.count || (count == threshold.count && threshold.equals-- > 0)) {
      words.add(word, count);
    } else {
      ++words.dropped_words;
      words.dropped_uses += count;
    }
  });
  return words;
}

}  // namespace funnel
