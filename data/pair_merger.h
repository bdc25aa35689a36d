// SPDX-License-Identifier: Apache-2.0
// Byte-pair merging over counted words, exactly as huggingface/tokenizers' BpeTrainer does it
// (models/bpe/trainer.rs): join the most frequent pair of neighbours, of equals the one of smaller
// ids, and count again only what changed.
#pragma once

#include <cstdint>
#include <queue>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace funnel {

class PairMerger {
 public:
  // The first pieces, in the order of their ids.
  explicit PairMerger(std::vector<std::string> pieces);

  // Adds a word of these pieces.
  void add(std::span<const int32_t> pieces, int64_t count);

  // Joins pairs until there are `size` pieces or no pair is as frequent as `min_frequency`. To be
  // called once, after all words.
  std::vector<std::string> merge(int64_t size, int64_t min_frequency);

 private:
  using Pair = std::pair<int32_t, int32_t>;
  struct PairHash {
    size_t operator()(const Pair& pair) const {
      const uint64_t both =
          static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
      return static_cast<size_t>(both * 0x9e3779b97f4a7c15ull >> 17);
    }
  };
  using Places = std::vector<uint32_t>;  // words
  struct Word {
    size_t begin;  // in pieces_of_words_
    uint32_t size;
    int64_t count;
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    size_t places;  // in places_
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(const Pair& pair, int64_t by, uint32_t word);
  void queue_new_places();
  int32_t piece_of(const Pair& pair);
  void join(const Candidate& candidate);
  void join_in(uint32_t word, const Pair& pair, int32_t joined);

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<int32_t> pieces_of_words_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::vector<Places> places_;
  std::vector<size_t> free_places_;                        // to be used again
  std::unordered_map<Pair, size_t, PairHash> new_places_;  // since the last queue_new_places()
  std::priority_queue<Candidate> queue_;
};

}  // namespace funnel
