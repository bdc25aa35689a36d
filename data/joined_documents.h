// SPDX-License-Identifier: Apache-2.0
// Tokenised documents, and their text in random order as one array: what examples are cut from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/random_sequence.h"

namespace funnel {

// Documents of one group, tokenised. A group is packed as a whole.
class TokenizedDocuments {
 public:
  // Adds a sentence to the open document; an empty one is no sentence.
  void add_sentence(std::span<const int32_t> ids);
  // Closes the open document; one without sentences vanishes.
  void end_document();
  void clear();

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t documents() const { return static_cast<int64_t>(document_ends_.size()); }
  int64_t sentences() const { return static_cast<int64_t>(sentence_ends_.size()); }

 private:
  friend class JoinedDocuments;
  std::vector<int32_t> ids_;
  std::vector<int64_t> sentence_ends_;  // positions in ids_
  std::vector<int64_t> document_ends_;  // positions in sentence_ends_
};

class JoinedDocuments {
 public:
  JoinedDocuments(const TokenizedDocuments& from, RandomSequence& random);

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  std::span<const int32_t> ids(int64_t begin, int64_t end) const {
    return std::span(ids_).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  }

  // 0, the end of every sentence in ascending order; the last is tokens().
  const std::vector<int64_t>& borders() const { return borders_; }
  // The end of every document, as an index of borders().
  const std::vector<int64_t>& document_ends() const { return document_ends_; }

  int64_t border_at_or_before(int64_t position) const;
  int64_t border_at_or_after(int64_t position) const;

 private:
  std::vector<int32_t> ids_;
  std::vector<int64_t> borders_;
  std::vector<int64_t> document_ends_;
};

}  // namespace funnel
