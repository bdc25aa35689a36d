// SPDX-License-Identifier: Apache-2.0
// Counts words. A table of its own, because it holds tens of millions of them: 24 bytes and the
// word itself for each, twice that while it grows.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace funnel {

class WordTable {
 public:
  struct Entry {
    const char* text = nullptr;  // null: free
    uint32_t size = 0;
    uint32_t hash = 0;
    int64_t count = 0;
    std::string_view word() const { return {text, size}; }
  };

  // The word is not empty.
  void add(std::string_view word, int64_t count = 1);
  void clear();

  int64_t size() const { return size_; }

  // All entries in the order of the words' bytes; valid until the next add() or clear().
  std::vector<const Entry*> sorted() const;

 private:
  Entry& find(std::string_view word, uint32_t hash);
  void grow();
  const char* store(std::string_view word);

  std::vector<Entry> slots_;  // a power of two, at most two thirds full; probed one after the other
  int64_t size_ = 0;
  std::vector<std::unique_ptr<char[]>> blocks_;  // of the words
  char* free_ = nullptr;                         // in the last block
  size_t left_ = 0;                              // bytes from there
};

}  // namespace funnel
