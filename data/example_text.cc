// SPDX-License-Identifier: Apache-2.0
#include "data/example_text.h"

#include "core/base/error.h"
#include "data/masking_spans.h"

namespace funnel {
namespace {

constexpr size_t kColumns = 96;
constexpr char kIndent[] = "    ";

// Adds words to lines; a line that has one is left when the next does not fit.
class Paragraph {
 public:
  void add(const std::string& word) {
    if (column_ > 0 && column_ + 1 + word.size() > kColumns) {
      text_ += '\n';
      column_ = 0;
    }
    text_ += column_ == 0 ? kIndent : " ";
    text_ += word;
    column_ += word.size() + (column_ == 0 ? sizeof(kIndent) - 1 : 1);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t column_ = 0;
};

std::string counted(size_t count, const char* what) {
  return concat(count, " ", what, count == 1 ? "" : "s");
}

std::string word_text(const Vocabulary& vocabulary, std::span<const int32_t> pieces,
                      std::span<const uint8_t> starts) {
  std::string text;
  for (const int32_t id : pieces) {
    const std::string& piece = vocabulary.piece(id);
    const bool continues = starts[static_cast<size_t>(id)] == 0;
    if (continues) text += '|';
    text += continues ? piece.substr(2) : piece;
  }
  return text;
}

// The tokens of one segment. Special ones among them stand apart, and are no words.
std::string segment_text(const char* name, const Vocabulary& vocabulary,
                         std::span<const int32_t> ids, std::span<const uint8_t> starts) {
  const std::vector<MaskingRange> words = words_of(ids, vocabulary.special(), starts);
  Paragraph paragraph;
  int64_t at = 0;
  const auto special_until = [&](int64_t end) {
    for (; at < end; ++at) paragraph.add(vocabulary.piece(ids[static_cast<size_t>(at)]));
  };
  for (const MaskingRange& word : words) {
    special_until(word.begin);
    const auto length = static_cast<size_t>(word.end - word.begin);
    paragraph.add(
        word_text(vocabulary, ids.subspan(static_cast<size_t>(word.begin), length), starts));
    at = word.end;
  }
  special_until(static_cast<int64_t>(ids.size()));
  return concat("  ", name, ", ", counted(ids.size(), "token"), " in ",
                counted(words.size(), "word"), "\n", paragraph.text(), "\n");
}

}  // namespace

std::string example_text(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                         int64_t segment_a) {
  const SpecialIds& special = vocabulary.special();
  const ExampleLayout layout = layout_of(ids, segment_a, special.pad);
  const std::vector<uint8_t> starts = word_starts(vocabulary);
  const auto special_line = [&](int32_t id) { return concat("  ", vocabulary.piece(id), "\n"); };
  const auto part = [&](int64_t begin, int64_t size) {
    return ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(size));
  };
  std::string text = special_line(ids[0]);
  text += segment_text("A", vocabulary, part(1, layout.segment_a), starts);
  text += special_line(ids[static_cast<size_t>(layout.segment_a + 1)]);
  if (layout.has_b()) {
    text += segment_text("B", vocabulary, part(layout.segment_a + 2, layout.segment_b()), starts);
    text += special_line(ids[static_cast<size_t>(layout.length - 1)]);
  }
  const size_t padding = ids.size() - static_cast<size_t>(layout.length);
  if (padding > 0)
    text += concat("  ", vocabulary.piece(special.pad), ", ", counted(padding, "time"), "\n");
  return text;
}

}  // namespace funnel
