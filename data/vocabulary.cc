// SPDX-License-Identifier: Apache-2.0
#include "data/vocabulary.h"

#include "core/base/error.h"
#include "data/digest.h"
#include "data/durable_file.h"
#include "data/tokenizer_words.h"

namespace funnel {
namespace {

struct SpecialName {
  const char* bert;
  const char* funnel;
  int32_t SpecialIds::*id;
};

constexpr SpecialName kSpecialNames[] = {
    {"[PAD]", "<pad>", &SpecialIds::pad},    {"[UNK]", "<unk>", &SpecialIds::unk},
    {"[CLS]", "<cls>", &SpecialIds::cls},    {"[SEP]", "<sep>", &SpecialIds::sep},
    {"[MASK]", "<mask>", &SpecialIds::mask},
};

}  // namespace

const std::vector<std::string>& special_pieces() {
  static const std::vector<std::string> pieces = [] {
    std::vector<std::string> names;
    for (const SpecialName& name : kSpecialNames) names.emplace_back(name.funnel);
    return names;
  }();
  return pieces;
}

Vocabulary Vocabulary::read(const std::filesystem::path& path) {
  return parse(read_text_file(path), path.string());
}

Vocabulary Vocabulary::parse(std::string_view text, const std::string& source) {
  Vocabulary vocabulary;
  vocabulary.text_ = text;
  vocabulary.digest_ = sha256(text);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    const auto id = static_cast<int32_t>(vocabulary.pieces_.size());
    FUNNEL_CHECK_INPUT(!piece.empty(), source, ":", id + 1,
                       ": expected a piece, found an empty line");
    FUNNEL_CHECK_INPUT(is_utf8(piece), source, ":", id + 1, ": expected UTF-8, found other bytes");
    const auto [at, is_new] = vocabulary.ids_.emplace(piece, id);
    FUNNEL_CHECK_INPUT(is_new, source, ":", id + 1, ": piece '", piece, "' is already in line ",
                       at->second + 1);
    vocabulary.pieces_.emplace_back(piece);
  }
  for (const SpecialName& name : kSpecialNames) {
    const int32_t bert = vocabulary.find(name.bert), own = vocabulary.find(name.funnel);
    FUNNEL_CHECK_INPUT(bert >= 0 || own >= 0, source, ": expected a special piece ", name.funnel,
                       " or ", name.bert, ", found neither");
    FUNNEL_CHECK_INPUT(bert < 0 || own < 0, source, ": expected one of the special pieces ",
                       name.funnel, " and ", name.bert, ", found both");
    vocabulary.special_.*name.id = own >= 0 ? own : bert;
  }
  return vocabulary;
}

}  // namespace funnel
