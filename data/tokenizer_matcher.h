// SPDX-License-Identifier: Apache-2.0
// The greedy longest match of WordPiece in linear time: the LinMaxMatch algorithm of Song et al.,
// "Fast WordPiece Tokenization" (EMNLP 2021). A trie of the pieces, in a double array; where it
// ends, a node knows the pieces that the greedy match would give for what was read so far (its
// pops) and the node from which to go on (its failure link), so no byte is read twice.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/vocabulary.h"

namespace funnel {

class PieceMatcher {
 public:
  // Pieces with more characters than that are left out.
  PieceMatcher(const Vocabulary& vocabulary, int64_t max_chars);

  // Writes the word's pieces to `ids`, which has room for one a byte; returns how many, or 0 when
  // some rest matches no piece. The word is UTF-8, not empty, and has no "##" within.
  int64_t match(std::string_view word, int32_t* ids) const;

 private:
  struct Node {
    int32_t base = 0;     // the child by byte b is at base + b ...
    int32_t parent = -1;  // ... if this is its parent
    int32_t failure = -1;
    uint32_t pops_begin = 0;
    uint32_t pops_end = 0;
  };
  struct Builder;

  int32_t child(int32_t node, unsigned char byte) const {
    const int32_t at = nodes_[static_cast<size_t>(node)].base + byte;
    return nodes_[static_cast<size_t>(at)].parent == node ? at : -1;
  }

  std::vector<Node> nodes_;
  std::vector<int32_t> pops_;
};

}  // namespace funnel
