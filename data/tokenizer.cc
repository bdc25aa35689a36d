// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer.h"

#include <algorithm>
#include <functional>

#include "core/base/error.h"

namespace funnel {
namespace {

constexpr size_t kRememberedWords = size_t{1} << 16;

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace

Tokenizer::Tokenizer(const Vocabulary& vocabulary, TokenizerConfig config)
    : vocabulary_(vocabulary), config_(config), remembered_(kRememberedWords) {
  FUNNEL_CHECK_INPUT(config.max_word_chars >= 1, "max_word_chars: expected at least 1, found ",
                     config.max_word_chars);
  for (int64_t id = 0; id < vocabulary.size(); ++id) {
    longest_piece_ = std::max(longest_piece_, vocabulary.piece(static_cast<int32_t>(id)).size());
  }
}

int64_t Tokenizer::encode(std::string_view text, const TextPlace& place,
                          std::vector<int32_t>& ids) {
  const size_t before = ids.size();
  split_words(text, config_.lower_case, place, words_);
  for (size_t i = 0; i < words_.size(); ++i) encode_word(words_[i], ids);
  return static_cast<int64_t>(ids.size() - before);
}

void Tokenizer::encode_word(std::string_view word, std::vector<int32_t>& ids) {
  RememberedWord& slot = remembered_[std::hash<std::string_view>()(word) & (kRememberedWords - 1)];
  if (slot.word != word) {
    slot.ids.clear();
    match_pieces(word, slot.ids);
    slot.word = word;
  }
  ids.insert(ids.end(), slot.ids.begin(), slot.ids.end());
}

void Tokenizer::match_pieces(std::string_view word, std::vector<int32_t>& ids) {
  const int64_t chars =
      std::count_if(word.begin(), word.end(), [](char c) { return !continues_character(c); });
  if (chars > config_.max_word_chars) {
    ids.assign(1, vocabulary_.special().unk);
    return;
  }
  continued_.assign("##");
  continued_ += word;
  for (size_t begin = 0; begin < word.size();) {
    // The rest of the word, after "##" except at its beginning. The two bytes before it are the
    // word's own or the prefix; they are overwritten by the prefix.
    const size_t prefix = begin == 0 ? 0 : 2;
    if (begin > 0) continued_.replace(begin, 2, "##");
    const std::string_view rest = std::string_view(continued_).substr(begin + 2 - prefix);
    size_t length = std::min(rest.size(), longest_piece_);
    int32_t id = -1;
    for (; length > prefix; --length) {
      if (length < rest.size() && continues_character(rest[length])) continue;
      id = vocabulary_.find(rest.substr(0, length));
      if (id >= 0) break;
    }
    if (id < 0) {
      ids.assign(1, vocabulary_.special().unk);
      return;
    }
    ids.push_back(id);
    begin += length - prefix;
  }
}

std::string decode(const Vocabulary& vocabulary, const int32_t* ids, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    std::string_view piece = vocabulary.piece(ids[i]);
    if (piece.starts_with("##") && piece.size() > 2 && !text.empty()) {
      piece.remove_prefix(2);
    } else if (!text.empty()) {
      text += ' ';
    }
    text += piece;
  }
  return text;
}

}  // namespace funnel
