// SPDX-License-Identifier: Apache-2.0
// The oracle of the longest match.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/vocabulary.h"

namespace funnel {

// WordPiece as its definition says it: always try the longest rest first.
inline std::vector<int32_t> naive_match(const Vocabulary& vocabulary, const std::string& word) {
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < word.size();) {
    int32_t id = -1;
    size_t length = word.size() - begin;
    for (; length > 0; --length) {
      id = vocabulary.find((begin == 0 ? "" : "##") + word.substr(begin, length));
      if (id >= 0) break;
    }
    if (id < 0) return {};
    ids.push_back(id);
    begin += length;
  }
  return ids;
}

}  // namespace funnel
