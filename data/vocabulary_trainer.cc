// SPDX-License-Identifier: Apache-2.0
#include "data/vocabulary_trainer.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "core/base/error.h"
#include "data/vocabulary.h"

namespace funnel {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    const uint64_t both =
        static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
    return static_cast<size_t>(both * 0x9e3779b97f4a7c15ull >> 17);
  }
};

struct CountedWord {
  std::vector<int32_t> pieces;
  int64_t count;
};

// Splits at code points; the text is valid UTF-8.
std::vector<std::string> characters_of(std::string_view word) {
  std::vector<std::string> characters;
  for (char byte : word) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) characters.emplace_back();
    characters.back() += byte;
  }
  return characters;
}

class PairMerger {
 public:
  PairMerger(std::vector<std::string> pieces, std::vector<CountedWord> words)
      : pieces_(std::move(pieces)), words_(std::move(words)) {
    for (size_t id = 0; id < pieces_.size(); ++id) ids_[pieces_[id]] = static_cast<int32_t>(id);
    for (size_t w = 0; w < words_.size(); ++w) {
      for (size_t i = 0; i + 1 < words_[w].pieces.size(); ++i) {
        change({words_[w].pieces[i], words_[w].pieces[i + 1]}, words_[w].count, w);
      }
    }
    queue_changed();
  }

  // Joins pairs until there are `size` pieces or no pair is as frequent as `min_frequency`.
  std::vector<std::string> merge(int64_t size, int64_t min_frequency) {
    while (static_cast<int64_t>(pieces_.size()) < size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const int64_t count = pairs_[best.pair].count;
      if (count < best.count) {
        // The entry is stale: put the pair back where it belongs now.
        if (count > 0) queue_.push({count, best.pair});
        continue;
      }
      if (count < min_frequency) break;
      join(best.pair);
    }
    return pieces_;
  }

 private:
  struct PairPlaces {
    int64_t count = 0;
    std::vector<size_t>
        words;  // ascending per round of changes; may hold a word that lost the pair
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(const Pair& pair, int64_t by, size_t word) {
    PairPlaces& places = pairs_[pair];
    places.count += by;
    if (by <= 0) return;
    if (places.words.empty() || places.words.back() != word) places.words.push_back(word);
    changed_.push_back(pair);
  }

  void queue_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& pair : changed_) queue_.push({pairs_[pair].count, pair});
    changed_.clear();
  }

  int32_t piece_of(const Pair& pair) {
    const std::string& second = pieces_[static_cast<size_t>(pair.second)];
    const std::string joined = pieces_[static_cast<size_t>(pair.first)] +
                               (second.starts_with("##") ? second.substr(2) : second);
    const auto [at, is_new] = ids_.emplace(joined, static_cast<int32_t>(pieces_.size()));
    if (is_new) pieces_.push_back(joined);
    return at->second;
  }

  void join(const Pair& pair) {
    const int32_t joined = piece_of(pair);
    const std::vector<size_t> places = std::move(pairs_[pair].words);
    pairs_[pair].words.clear();
    for (size_t w : places) {
      std::vector<int32_t>& pieces = words_[w].pieces;
      const int64_t count = words_[w].count;
      for (size_t i = 0; i + 1 < pieces.size(); ++i) {
        if (pieces[i] != pair.first || pieces[i + 1] != pair.second) continue;
        if (i > 0) {
          change({pieces[i - 1], pair.first}, -count, w);
          change({pieces[i - 1], joined}, count, w);
        }
        if (i + 2 < pieces.size()) {
          change({pair.second, pieces[i + 2]}, -count, w);
          change({joined, pieces[i + 2]}, count, w);
        }
        change(pair, -count, w);
        pieces[i] = joined;
        pieces.erase(pieces.begin() + static_cast<int64_t>(i) + 1);
      }
    }
    queue_changed();
  }

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<CountedWord> words_;
  std::unordered_map<Pair, PairPlaces, PairHash> pairs_;
  std::vector<Pair> changed_;
  std::priority_queue<Candidate> queue_;
};

using SortedWords = std::vector<std::pair<std::string, int64_t>>;

// The most frequent characters; UTF-8 sorts them by code point.
std::set<std::string> alphabet_of(const SortedWords& words, int64_t max_characters) {
  std::map<std::string, int64_t> counts;
  for (const auto& [word, count] : words) {
    for (const std::string& character : characters_of(word)) counts[character] += count;
  }
  std::vector<std::pair<std::string, int64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::set<std::string> alphabet;
  for (const auto& [character, count] : ranked) {
    if (static_cast<int64_t>(alphabet.size()) == max_characters) break;
    alphabet.insert(character);
  }
  return alphabet;
}

}  // namespace

VocabularyTrainer::VocabularyTrainer(VocabularyTrainerConfig config)
    : config_(config),
      splitter_({.lower_case = config.lower_case, .strip_accents = config.lower_case}) {
  FUNNEL_CHECK_INPUT(config.size >= 1, "vocabulary size: expected at least 1, found ", config.size);
  FUNNEL_CHECK_INPUT(config.min_frequency >= 1, "min_frequency: expected at least 1, found ",
                     config.min_frequency);
  FUNNEL_CHECK_INPUT(config.max_characters >= 1, "max_characters: expected at least 1, found ",
                     config.max_characters);
}

void VocabularyTrainer::add(std::string_view text, const TextPlace& place) {
  splitter_.split(text, place, words_);
  for (size_t i = 0; i < words_.size(); ++i) ++counts_[std::string(words_[i])];
}

std::vector<std::string> VocabularyTrainer::train() const {
  SortedWords sorted(counts_.begin(), counts_.end());
  std::sort(sorted.begin(), sorted.end());
  const std::set<std::string> alphabet = alphabet_of(sorted, config_.max_characters);
  std::vector<std::string> pieces = special_pieces();
  std::set<std::string> continuing;
  std::vector<std::vector<std::string>> split;
  std::vector<CountedWord> words;
  for (const auto& [word, count] : sorted) {
    std::vector<std::string> characters = characters_of(word);
    if (static_cast<int64_t>(characters.size()) > config_.max_word_chars) continue;
    std::erase_if(characters, [&](const std::string& c) { return !alphabet.contains(c); });
    if (characters.empty()) continue;
    for (size_t i = 1; i < characters.size(); ++i) {
      characters[i].insert(0, "##");
      continuing.insert(characters[i]);
    }
    split.push_back(std::move(characters));
    words.push_back({{}, count});
  }
  pieces.insert(pieces.end(), alphabet.begin(), alphabet.end());
  pieces.insert(pieces.end(), continuing.begin(), continuing.end());
  FUNNEL_CHECK_INPUT(static_cast<int64_t>(pieces.size()) <= config_.size,
                     "vocabulary size: expected at least ", pieces.size(),
                     ", the special pieces and single characters of this text, found ",
                     config_.size);
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < pieces.size(); ++id) ids[pieces[id]] = static_cast<int32_t>(id);
  for (size_t w = 0; w < words.size(); ++w) {
    for (const std::string& piece : split[w]) words[w].pieces.push_back(ids.at(piece));
  }
  return PairMerger(std::move(pieces), std::move(words)).merge(config_.size, config_.min_frequency);
}

}  // namespace funnel
