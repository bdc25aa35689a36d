// SPDX-License-Identifier: Apache-2.0
#include "data/pair_merger.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {

PairMerger::PairMerger(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
  for (size_t id = 0; id < pieces_.size(); ++id) ids_[pieces_[id]] = static_cast<int32_t>(id);
}

void PairMerger::add(std::span<const int32_t> pieces, int64_t count) {
  FUNNEL_CHECK(words_.size() < UINT32_MAX, "vocabulary: fewer than 2^32 words");
  words_.push_back({pieces_of_words_.size(), static_cast<uint32_t>(pieces.size()), count});
  pieces_of_words_.insert(pieces_of_words_.end(), pieces.begin(), pieces.end());
}

std::vector<std::string> PairMerger::merge(int64_t size, int64_t min_frequency) {
  for (size_t w = 0; w < words_.size(); ++w) {
    const int32_t* pieces = pieces_of_words_.data() + words_[w].begin;
    for (uint32_t i = 0; i + 1 < words_[w].size; ++i) {
      change({pieces[i], pieces[i + 1]}, words_[w].count, static_cast<uint32_t>(w));
    }
  }
  queue_new_places();
  while (static_cast<int64_t>(pieces_.size()) < size && !queue_.empty()) {
    Candidate best = queue_.top();
    queue_.pop();
    const int64_t count = counts_[best.pair];
    if (count != best.count) {
      // The entry is stale: put the pair back where it belongs now.
      best.count = count;
      queue_.push(best);
      continue;
    }
    if (count < std::max<int64_t>(1, min_frequency)) break;
    join(best);
  }
  return std::move(pieces_);
}

void PairMerger::change(const Pair& pair, int64_t by, uint32_t word) {
  counts_[pair] += by;
  if (by <= 0) return;
  const auto [at, is_new] = new_places_.try_emplace(pair, 0);
  if (is_new) {
    if (free_places_.empty()) {
      at->second = places_.size();
      places_.emplace_back();
    } else {
      at->second = free_places_.back();
      free_places_.pop_back();
    }
  }
  Places& places = places_[at->second];
  if (places.empty() || places.back() != word) places.push_back(word);
}

void PairMerger::queue_new_places() {
  for (const auto& [pair, places] : new_places_) {
    const int64_t count = counts_[pair];
    if (count > 0) queue_.push({count, pair, places});
  }
  new_places_.clear();
}

int32_t PairMerger::piece_of(const Pair& pair) {
  const std::string& second = pieces_[static_cast<size_t>(pair.second)];
  const std::string joined = pieces_[static_cast<size_t>(pair.first)] +
                             (second.starts_with("##") ? second.substr(2) : second);
  const auto [at, is_new] = ids_.emplace(joined, static_cast<int32_t>(pieces_.size()));
  if (is_new) pieces_.push_back(joined);
  return at->second;
}

// The count of the pair itself stays as it was, as in the original: should the same pair of pieces
// become neighbours again, which takes a piece that can be joined in two ways, it adds up.
void PairMerger::join(const Candidate& candidate) {
  const int32_t joined = piece_of(candidate.pair);
  const Places places = std::exchange(places_[candidate.places], {});
  free_places_.push_back(candidate.places);
  for (uint32_t word : places) join_in(word, candidate.pair, joined);
  queue_new_places();
}

void PairMerger::join_in(uint32_t word, const Pair& pair, int32_t joined) {
  Word& where = words_[word];
  int32_t* pieces = pieces_of_words_.data() + where.begin;
  for (uint32_t i = 0; i + 1 < where.size; ++i) {
    if (pieces[i] != pair.first || pieces[i + 1] != pair.second) continue;
    if (i > 0) {
      change({pieces[i - 1], pair.first}, -where.count, word);
      change({pieces[i - 1], joined}, where.count, word);
    }
    if (i + 2 < where.size) {
      change({pair.second, pieces[i + 2]}, -where.count, word);
      change({joined, pieces[i + 2]}, where.count, word);
    }
    pieces[i] = joined;
    std::copy(pieces + i + 2, pieces + where.size, pieces + i + 1);
    --where.size;
  }
}

}  // namespace funnel
