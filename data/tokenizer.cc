// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"

namespace funnel {
namespace {

constexpr int kRememberedBits = 16;

}  // namespace

Tokenizer::Tokenizer(const Vocabulary& vocabulary, TokenizerConfig config)
    : vocabulary_(vocabulary),
      config_(config),
      splitter_({.lower_case = config.lower_case, .strip_accents = config.strip_accents}),
      matcher_(vocabulary, config.max_word_chars),
      remembered_(size_t{1} << kRememberedBits) {
  FUNNEL_CHECK_INPUT(config.max_word_chars >= 1, "max_word_chars: expected at least 1, found ",
                     config.max_word_chars);
}

int64_t Tokenizer::encode(std::string_view text, const TextPlace& place,
                          std::vector<int32_t>& ids) {
  splitter_.split(text, place, words_);
  const size_t words = words_.size();
  size_t count = 0;
  for (size_t i = 0; i < words; ++i) {
    const std::string_view word = words_[i];
    // Room for an id a byte, and for all that is copied of a remembered word.
    const size_t room = count + word.size() + kRememberedIds;
    if (found_.size() < room) found_.resize(2 * room);
    count += static_cast<size_t>(append(word, found_.data() + count));
  }
  ids.insert(ids.end(), found_.begin(), found_.begin() + static_cast<int64_t>(count));
  return static_cast<int64_t>(count);
}

int64_t Tokenizer::append(std::string_view word, int32_t* ids) {
  if (word.size() > sizeof(Key)) return match(word, ids);
  const Key key = key_of(word);
  const uint64_t hash =
      (key.low ^ std::rotl(key.high * 0x9E3779B97F4A7C15u, 32)) * 0xD6E8FEB86659FD93u;
  RememberedWord& slot = remembered_[hash >> (64 - kRememberedBits)];
  if (slot.word == key) [[likely]] {
    std::memcpy(ids, slot.ids, sizeof slot.ids);
    return slot.count;
  }
  const int64_t count = match(word, ids);
  if (count <= kRememberedIds) {
    slot.word = key;
    slot.count = static_cast<int32_t>(count);
    std::copy_n(ids, count, slot.ids);
  }
  return count;
}

Tokenizer::Key Tokenizer::key_of(std::string_view word) {
  // Words::kReadable makes it fine to read beyond the word.
  Key key;
  std::memcpy(&key, word.data(), sizeof key);
  const size_t bits = 8 * word.size();
  if (bits < 64) {
    key.low &= (uint64_t{1} << bits) - 1;
    key.high = 0;
  } else if (bits < 128) {
    key.high &= (uint64_t{1} << (bits - 64)) - 1;
  }
  return key;
}

int64_t Tokenizer::match(std::string_view word, int32_t* ids) const {
  int64_t count = 0;
  if (static_cast<int64_t>(word.size()) <= config_.max_word_chars ||
      utf8_characters(word) <= config_.max_word_chars) {
    count = matcher_.match(word, ids);
  }
  if (count > 0) return count;
  *ids = vocabulary_.special().unk;
  return 1;
}

}  // namespace funnel
