// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_words.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"
#include "data/tokenizer_ascii.h"

namespace funnel {
namespace {

constexpr size_t kLongestText = size_t{1} << 30;
// Normalisation makes at most three times as many bytes: a Hangul syllable of three becomes three
// letters of three.
constexpr size_t kGrowth = 3;

// The length of the UTF-8 sequence at the front of the text and its code point, or 0 if none.
size_t decode_utf8(std::string_view text, int32_t& code_point) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const int first = byte(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                                       : 4;
  if (length == 0 || text.size() < length) return 0;
  code_point = length == 1 ? first : first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  if (length == 3 && (code_point < 0x800 || (code_point >> 11) == 0x1B)) return 0;
  if (length == 4 && (code_point < 0x10000 || code_point > 0x10FFFF)) return 0;
  return length;
}

char* encode_utf8(int32_t c, char* out) {
  if (c < 0x80) {
    *out++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *out++ = static_cast<char>(0xC0 | c >> 6);
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  } else {
    if (c < 0x10000) {
      *out++ = static_cast<char>(0xE0 | c >> 12);
    } else {
      *out++ = static_cast<char>(0xF0 | c >> 18);
      *out++ = static_cast<char>(0x80 | (c >> 12 & 0x3F));
    }
    *out++ = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out++ = static_cast<char>(0x80 | (c & 0x3F));
  }
  return out;
}

// Writes normalised text and where words begin and end in it. The arrays have room for all.
class WordWriter {
 public:
  WordWriter(const CharacterTable& characters, bool lower_case, char* bytes, uint32_t* begins,
             uint32_t* ends)
      : characters_(characters),
        lower_case_(lower_case),
        bytes_(bytes),
        out_(bytes),
        begins_(begins),
        first_end_(ends),
        ends_(ends) {}

  // Adds the ASCII text that the text begins with, short of control characters; says how much.
  size_t add_ascii(std::string_view text) {
    size_t taken = 0;
    uint64_t in_word = is_open(), after_punctuation = 0;
    while (taken < text.size()) {
      const size_t usable = add_block(text.substr(taken), in_word, after_punctuation);
      taken += usable;
      if (usable < kAsciiBlock) break;
    }
    if (after_punctuation != 0) *ends_++ = offset();
    return taken;
  }

  void add(int32_t code_point) {
    const Character character = characters_[code_point];
    switch (character.kind) {
      case CharacterKind::letter:
        add_letter(character.code_point);
        break;
      case CharacterKind::alone:
        border();
        add_letter(character.code_point);
        border();
        break;
      case CharacterKind::space:
        border();
        break;
      case CharacterKind::nothing:
        break;
      case CharacterKind::accent_base:
        marks_.clear();
        break;
      case CharacterKind::mark:
        add_mark(character.code_point);
        break;
      case CharacterKind::several: {
        const CharacterTable::Parts parts = CharacterTable::parts(code_point);
        for (int i = 0; i < parts.count; ++i) add(parts.code_points[static_cast<size_t>(i)]);
        break;
      }
    }
  }

  // Closes a word if there is one.
  void border() {
    if (is_open()) *ends_++ = offset();
    marks_.clear();
  }

  size_t words() const { return static_cast<size_t>(ends_ - first_end_); }

 private:
  struct Mark {
    int combining_class;
    uint32_t end;
  };

  uint32_t offset() const { return static_cast<uint32_t>(out_ - bytes_); }
  bool is_open() const { return begun_ != words(); }

  void add_letter(int32_t code_point) {
    if (!is_open()) begin_word();
    out_ = encode_utf8(code_point, out_);
  }

  void begin_word() {
    *begins_++ = offset();
    ++begun_;
  }

  // Puts a mark before those of higher classes that it follows directly.
  void add_mark(int32_t code_point) {
    if (!marks_.empty() && marks_.back().end != offset()) marks_.clear();
    char* const begin = out_;
    add_letter(code_point);
    const int combining_class = CharacterTable::combining_class(code_point);
    auto place = marks_.end();
    while (place != marks_.begin() && place[-1].combining_class > combining_class) --place;
    if (place != marks_.end()) {
      const auto length = static_cast<uint32_t>(out_ - begin);
      char* const target = place == marks_.begin() ? bytes_ + first_mark_ : bytes_ + place[-1].end;
      std::rotate(target, begin, out_);
      for (auto later = place; later != marks_.end(); ++later) later->end += length;
      marks_.insert(place, {combining_class, static_cast<uint32_t>(target - bytes_) + length});
      return;
    }
    if (marks_.empty()) first_mark_ = static_cast<uint32_t>(begin - bytes_);
    marks_.push_back({combining_class, offset()});
  }

  // Adds what add_ascii() would of the first kAsciiBlock bytes.
  size_t add_block(std::string_view text, uint64_t& in_word, uint64_t& after_punctuation) {
    std::array<char, kAsciiBlock> rest;
    const char* block = text.data();
    if (text.size() < kAsciiBlock) {
      rest.fill(' ');
      std::memcpy(rest.data(), text.data(), text.size());
      block = rest.data();
    }
    const AsciiMasks masks = ascii_masks(block, lower_case_, out_);
    const size_t usable =
        std::min({text.size(), size_t{kAsciiBlock}, size_t(std::countr_zero(masks.others))});
    const uint64_t in_use = usable == kAsciiBlock ? ~uint64_t{0} : (uint64_t{1} << usable) - 1;
    const uint64_t letters = masks.letters & in_use, punctuation = masks.punctuation & in_use;
    const uint64_t follows_letter = letters << 1 | in_word;
    const uint64_t follows_punctuation = punctuation << 1 | after_punctuation;
    uint64_t begins = (letters & ~follows_letter) | punctuation;
    // A word may go on after the part in use; punctuation ends with itself.
    uint64_t ends = (follows_letter & ~letters & in_use) | follows_punctuation;
    const uint32_t base = offset();
    begun_ += static_cast<size_t>(std::popcount(begins));
    for (; begins != 0; begins &= begins - 1) *begins_++ = base + std::countr_zero(begins);
    for (; ends != 0; ends &= ends - 1) *ends_++ = base + std::countr_zero(ends);
    in_word = letters >> 63;
    after_punctuation = punctuation >> 63;
    out_ += usable;
    return usable;
  }

  const CharacterTable& characters_;
  const bool lower_case_;
  char* const bytes_;
  char* out_;
  uint32_t* begins_;
  uint32_t* const first_end_;
  uint32_t* ends_;
  size_t begun_ = 0;         // words
  std::vector<Mark> marks_;  // that the text ends with
  uint32_t first_mark_ = 0;
};

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    int32_t code_point = 0;
    const size_t length = decode_utf8(text, code_point);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void WordSplitter::split(std::string_view text, const TextPlace& place, Words& words) const {
  FUNNEL_CHECK_INPUT(text.size() <= kLongestText, place.file, ":", place.line,
                     ": expected at most ", kLongestText, " bytes, found ", text.size());
  const size_t room = kGrowth * text.size() + kAsciiBlock + Words::kReadable;
  if (words.bytes_.size() < room) {
    words.bytes_.resize(room);
    words.begins_.resize(room);
    words.ends_.resize(room);
  }
  WordWriter writer(characters_, rules_.lower_case, words.bytes_.data(), words.begins_.data(),
                    words.ends_.data());
  for (size_t at = 0; at < text.size();) {
    at += writer.add_ascii(text.substr(at));
    // Several such code points often follow each other.
    for (int32_t code_point = 0; at < text.size();) {
      const unsigned char byte = static_cast<unsigned char>(text[at]);
      if (byte < 0x80 &&
          (is_ascii_letter(byte) || is_ascii_punctuation(byte) || is_ascii_space(byte))) {
        break;
      }
      const size_t length = decode_utf8(text.substr(at), code_point);
      FUNNEL_CHECK_INPUT(length > 0, place.file, ":", place.line,
                         ": expected UTF-8, found other bytes at offset ", at, " of the line");
      writer.add(code_point);
      at += length;
    }
  }
  writer.border();
  words.size_ = writer.words();
}

}  // namespace funnel
