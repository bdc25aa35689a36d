// SPDX-License-Identifier: Apache-2.0
// Text whose tokens tell where they came from: token i has id kFirstNumbered + i.
#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "data/joined_documents.h"
#include "data/packing.h"

namespace funnel::testing {

inline constexpr SpecialIds kNumberedSpecial{0, 1, 2, 3, 4};
inline constexpr int32_t kFirstNumbered = 100;

// Documents of 1 to 6 sentences, or of so many, of 1 to `longest_sentence` tokens.
struct NumberedText {
  explicit NumberedText(int64_t document_count, int64_t longest_sentence = 40,
                        int64_t sentence_count = 0) {
    std::mt19937 random(3);
    int32_t next = kFirstNumbered;
    for (int64_t d = 0; d < document_count; ++d) {
      const int64_t sentences = sentence_count > 0 ? sentence_count : 1 + random() % 6;
      for (int64_t s = 0; s < sentences; ++s) {
        sentence_begins.insert(next);
        std::vector<int32_t> ids(1 + random() % longest_sentence);
        for (int32_t& id : ids) id = next++;
        documents.add_sentence(ids);
      }
      documents.end_document();
      document_ends.insert(next);
    }
    end = next;
  }

  int64_t document_of(int32_t id) const {
    return std::distance(document_ends.begin(), document_ends.upper_bound(id));
  }

  TokenizedDocuments documents;
  std::set<int32_t> sentence_begins;  // ids
  std::set<int32_t> document_ends;    // ids behind the last token
  int32_t end;
};

struct PackedExample {
  std::vector<int32_t> ids;
  int64_t a;
};

inline std::vector<PackedExample> pack_examples(const NumberedText& text, PackingMode mode,
                                                int64_t seq_len, uint64_t seed = 7,
                                                int64_t pass = 0, int64_t group = 0) {
  std::vector<PackedExample> examples;
  pack(text.documents,
       {.mode = mode, .seq_len = seq_len, .special = kNumberedSpecial, .seed = seed}, group, pass,
       [&](std::span<const int32_t> ids, int64_t a) {
         examples.push_back({{ids.begin(), ids.end()}, a});
       });
  return examples;
}

}  // namespace funnel::testing
