// SPDX-License-Identifier: Apache-2.0
#include "data/word_table.h"

#include <algorithm>
#include <functional>

namespace funnel {
namespace {

constexpr size_t kFirstSlots = 1024;
constexpr size_t kBlockBytes = size_t{1} << 20;

}  // namespace

void WordTable::add(std::string_view word, int64_t count) {
  if (3 * (static_cast<size_t>(size_) + 1) > 2 * slots_.size()) grow();
  const auto hash = static_cast<uint32_t>(std::hash<std::string_view>()(word));
  Entry& entry = find(word, hash);
  if (entry.text == nullptr) {
    entry = {store(word), static_cast<uint32_t>(word.size()), hash, 0};
    ++size_;
  }
  entry.count += count;
}

WordTable::Entry& WordTable::find(std::string_view word, uint32_t hash) {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    Entry& entry = slots_[at];
    if (entry.text == nullptr || (entry.hash == hash && entry.word() == word)) return entry;
  }
}

void WordTable::grow() {
  std::vector<Entry> old(slots_.empty() ? kFirstSlots : 2 * slots_.size());
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.text == nullptr) continue;
    size_t at = entry.hash & mask;
    while (slots_[at].text != nullptr) at = (at + 1) & mask;
    slots_[at] = entry;
  }
}

const char* WordTable::store(std::string_view word) {
  if (word.size() > left_) {
    left_ = std::max(kBlockBytes, word.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    free_ = blocks_.back().get();
  }
  char* to = free_;
  free_ = std::copy(word.begin(), word.end(), to);
  left_ -= word.size();
  return to;
}

void WordTable::clear() {
  std::fill(slots_.begin(), slots_.end(), Entry{});
  blocks_.clear();
  free_ = nullptr;
  left_ = 0;
  size_ = 0;
}

std::vector<const WordTable::Entry*> WordTable::sorted() const {
  std::vector<const Entry*> entries;
  entries.reserve(static_cast<size_t>(size_));
  for (const Entry& entry : slots_) {
    if (entry.text != nullptr) entries.push_back(&entry);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry* a, const Entry* b) { return a->word() < b->word(); });
  return entries;
}

}  // namespace funnel
