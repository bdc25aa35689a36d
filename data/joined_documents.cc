// SPDX-License-Identifier: Apache-2.0
#include "data/joined_documents.h"

#include <algorithm>

namespace funnel {

void TokenizedDocuments::add_sentence(std::span<const int32_t> ids) {
  if (ids.empty()) return;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  sentence_ends_.push_back(tokens());
}

void TokenizedDocuments::end_document() {
  const int64_t before = document_ends_.empty() ? 0 : document_ends_.back();
  if (sentences() > before) document_ends_.push_back(sentences());
}

void TokenizedDocuments::clear() {
  ids_.clear();
  sentence_ends_.clear();
  document_ends_.clear();
}

JoinedDocuments::JoinedDocuments(const TokenizedDocuments& from, RandomSequence& random) {
  std::vector<int64_t> order(from.document_ends_.size());
  random.permute(order.data(), from.documents());
  ids_.reserve(from.ids_.size());
  borders_.reserve(from.sentence_ends_.size() + 1);
  borders_.push_back(0);
  document_ends_.reserve(order.size());
  for (int64_t document : order) {
    const int64_t first = document == 0 ? 0 : from.document_ends_[document - 1];
    for (int64_t sentence = first; sentence < from.document_ends_[document]; ++sentence) {
      const int64_t begin = sentence == 0 ? 0 : from.sentence_ends_[sentence - 1];
      ids_.insert(ids_.end(), from.ids_.begin() + begin,
                  from.ids_.begin() + from.sentence_ends_[sentence]);
      borders_.push_back(tokens());
    }
    document_ends_.push_back(static_cast<int64_t>(borders_.size()) - 1);
  }
}

int64_t JoinedDocuments::border_at_or_before(int64_t position) const {
  return *(std::upper_bound(borders_.begin(), borders_.end(), position) - 1);
}

int64_t JoinedDocuments::border_at_or_after(int64_t position) const {
  return *std::lower_bound(borders_.begin(), borders_.end(), position);
}

}  // namespace funnel
