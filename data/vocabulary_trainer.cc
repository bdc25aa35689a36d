// SPDX-License-Identifier: Apache-2.0
#include "data/vocabulary_trainer.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "data/pair_merger.h"
#include "data/vocabulary.h"

namespace funnel {
namespace {

// Calls take(character) for every code point of valid UTF-8.
template <class Take>
void for_each_character(std::string_view word, const Take& take) {
  for (size_t begin = 0, end = 0; begin < word.size(); begin = end) {
    end = begin + 1;
    while (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) ++end;
    take(word.substr(begin, end - begin));
  }
}

// UTF-8 sorts by code point.
using Characters = std::set<std::string, std::less<>>;

// The most frequent characters; of equals, those of smaller code points.
Characters alphabet_of(const CountedWords& words, int64_t max_characters) {
  std::map<std::string, int64_t, std::less<>> counts;
  for (int64_t w = 0; w < words.size(); ++w) {
    for_each_character(words.word(w), [&](std::string_view character) {
      const auto at = counts.find(character);
      const int64_t count = words.counts[static_cast<size_t>(w)];
      if (at != counts.end()) {
        at->second += count;
      } else {
        counts.emplace(character, count);
      }
    });
  }
  std::vector<std::pair<std::string, int64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Characters alphabet;
  for (const auto& [character, count] : ranked) {
    if (static_cast<int64_t>(alphabet.size()) == max_characters) break;
    alphabet.insert(character);
  }
  return alphabet;
}

// Ids of the characters of the alphabet, at the beginning of a word and within one.
struct CharacterIds {
  int32_t first = -1;
  int32_t continuing = -1;
};
using CharacterTable = std::map<std::string, CharacterIds, std::less<>>;

// Calls take(ids of the character, whether it continues the word) for every character of the
// alphabet. As in the original, one that is dropped in front of a word leaves the next continuing.
template <class Take>
void for_each_known(std::string_view word, CharacterTable& table, const Take& take) {
  bool continues = false;
  for_each_character(word, [&](std::string_view character) {
    const auto known = table.find(character);
    if (known != table.end()) take(known->second, continues);
    continues = true;
  });
}

}  // namespace

std::vector<std::string> train_vocabulary(const CountedWords& words,
                                          const VocabularyTrainerConfig& config) {
  FUNNEL_CHECK_INPUT(config.size >= 1, "vocabulary size: expected at least 1, found ", config.size);
  FUNNEL_CHECK_INPUT(config.min_frequency >= 1, "min_frequency: expected at least 1, found ",
                     config.min_frequency);
  FUNNEL_CHECK_INPUT(config.max_characters >= 1, "max_characters: expected at least 1, found ",
                     config.max_characters);
  std::vector<std::string> pieces = special_pieces();
  CharacterTable table;
  for (const std::string& character : alphabet_of(words, config.max_characters)) {
    table[character].first = static_cast<int32_t>(pieces.size());
    pieces.push_back(character);
  }
  for (int64_t w = 0; w < words.size(); ++w) {
    for_each_known(words.word(w), table, [](CharacterIds& ids, bool continues) {
      if (continues) ids.continuing = 0;
    });
  }
  for (auto& [character, ids] : table) {
    if (ids.continuing < 0) continue;
    ids.continuing = static_cast<int32_t>(pieces.size());
    pieces.push_back("##" + character);
  }
  FUNNEL_CHECK_INPUT(static_cast<int64_t>(pieces.size()) <= config.size,
                     "vocabulary size: expected at least ", pieces.size(),
                     ", the special pieces and single characters of this text, found ",
                     config.size);
  PairMerger merger(std::move(pieces));
  std::vector<int32_t> split;
  for (int64_t w = 0; w < words.size(); ++w) {
    split.clear();
    for_each_known(words.word(w), table, [&](const CharacterIds& ids, bool continues) {
      split.push_back(continues ? ids.continuing : ids.first);
    });
    merger.add(split, words.counts[static_cast<size_t>(w)]);
  }
  return merger.merge(config.size, config.min_frequency);
}

}  // namespace funnel
