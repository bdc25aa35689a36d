// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <map>
#include <span>

#include "data/tokenizer_ranges.h"

namespace funnel {
namespace {

using bert_characters::Range;

constexpr int32_t kCodePoints = 0x110000;
constexpr int32_t kDottedCapitalI = 0x130;
constexpr Range kHangulSyllables{0xAC00, 0xD7A3};

uint32_t entry(CharacterKind kind, int32_t distance = 0) {
  return static_cast<uint32_t>(kind) << 24 | (static_cast<uint32_t>(distance) & 0xFFFFFF);
}

CharacterKind kind_of(uint32_t entry) {
  return static_cast<CharacterKind>(entry >> 24);
}

// The entries of all code points, before they are shared between equal pages.
class Entries {
 public:
  explicit Entries(WordRules rules)
      : entries_(kCodePoints, entry(CharacterKind::letter)), rules_(rules) {
    if (rules.lower_case) lower();
    set(bert_characters::kPunctuation, CharacterKind::alone);
    if (rules.strip_accents) strip();
    for (const Range& range : bert_characters::kIdeographs) set_alone(range);
    // Cleaning comes before everything else, so it has the last word here.
    set(bert_characters::kDropped, CharacterKind::nothing);
    set(bert_characters::kSpaces, CharacterKind::space);
  }

  const uint32_t* page(size_t number) const { return entries_.data() + 256 * number; }

 private:
  uint32_t& at(int32_t code_point) { return entries_[static_cast<size_t>(code_point)]; }

  void set(std::span<const Range> ranges, CharacterKind kind) {
    for (const Range& range : ranges) {
      for (int32_t c = range.first; c <= range.last; ++c) at(c) = entry(kind);
    }
  }

  void set_alone(const Range& range) {
    for (int32_t c = range.first; c <= range.last; ++c) {
      at(c) = (at(c) & 0xFFFFFF) | entry(CharacterKind::alone);
    }
  }

  void lower() {
    for (const bert_characters::Lowered& run : bert_characters::kLowered) {
      for (int32_t c = run.first; c <= run.last; c += run.stride) {
        at(c) = entry(CharacterKind::letter, run.by);
      }
    }
    at(kDottedCapitalI) = entry(CharacterKind::several);
  }

  void strip() {
    for (const bert_characters::Marks& marks : bert_characters::kMarks) {
      for (int32_t c = marks.first; c <= marks.last; ++c) at(c) = entry(CharacterKind::mark);
    }
    for (const Range& range : bert_characters::kAccents) {
      for (int32_t c = range.first; c <= range.last; ++c) {
        const bool is_base = utf8proc_get_property(c)->combining_class == 0;
        at(c) = entry(is_base ? CharacterKind::accent_base : CharacterKind::nothing);
      }
    }
    for (const Range& range : bert_characters::kDecomposed) decompose(range);
    decompose(kHangulSyllables);
  }

  // Most decompose into one letter and accents that leave no trace.
  void decompose(const Range& range) {
    for (int32_t c = range.first; c <= range.last; ++c) {
      const CharacterTable::Parts parts = CharacterTable::parts(c);
      int count = 0;
      uint32_t whole = entry(CharacterKind::nothing);
      for (int i = 0; i < parts.count; ++i) {
        const int32_t part = parts.code_points[static_cast<size_t>(i)];
        if (kind_of(at(part)) == CharacterKind::nothing) continue;
        ++count;
        const auto distance = static_cast<int32_t>(at(part) << 8) / 256;
        whole = entry(kind_of(at(part)), part + distance - c);
      }
      const bool is_simple = count == 0 || (count == 1 && kind_of(whole) != CharacterKind::mark);
      at(c) = is_simple ? whole : entry(CharacterKind::several);
    }
  }

  std::vector<uint32_t> entries_;
  WordRules rules_;
};

}  // namespace

CharacterTable::CharacterTable(WordRules rules) {
  const Entries entries(rules);
  std::map<Page, uint16_t> known;
  for (size_t i = 0; i < page_of_.size(); ++i) {
    Page page;
    std::copy_n(entries.page(i), page.size(), page.begin());
    const auto [at, is_new] = known.emplace(page, static_cast<uint16_t>(pages_.size()));
    if (is_new) pages_.push_back(page);
    page_of_[i] = at->second;
  }
}

CharacterTable::Parts CharacterTable::parts(int32_t code_point) {
  Parts parts;
  int boundary_class = 0;
  // The longest canonical decomposition has four code points.
  parts.count = static_cast<int>(utf8proc_decompose_char(
      code_point, parts.code_points.data(), static_cast<utf8proc_ssize_t>(parts.code_points.size()),
      UTF8PROC_DECOMPOSE, &boundary_class));
  return parts;
}

int CharacterTable::combining_class(int32_t mark) {
  return utf8proc_get_property(mark)->combining_class;
}

}  // namespace funnel
