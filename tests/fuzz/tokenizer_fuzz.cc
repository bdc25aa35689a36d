// SPDX-License-Identifier: Apache-2.0
// Any bytes as a vocabulary and as text. Up to the first 0xFF, which is in no UTF-8, they are a
// vocabulary without its special pieces; the rest is text. Oracles: bad input throws Error and
// nothing else; the longest match written naively; text further down, so that it lies otherwise in
// blocks, has the same words; what is remembered changes nothing.
#include <cstdlib>

#include "core/base/error.h"
#include "data/tokenizer.h"
#include "tests/data/naive_match.h"
#include "tests/fuzz/fuzz_target.h"

namespace funnel {
namespace {

constexpr char kSpecialPieces[] = "<pad>\n<unk>\n<cls>\n<sep>\n<mask>\n";

void require(bool holds) {
  if (!holds) std::abort();
}

void check_matches(const Words& words, const Vocabulary& vocabulary) {
  const PieceMatcher matcher(vocabulary, 100);
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word(words[i]);
    require(!word.empty() && is_utf8(word));
    if (utf8_characters(word) > 100) continue;
    std::vector<int32_t> ids(word.size());
    ids.resize(static_cast<size_t>(matcher.match(word, ids.data())));
    require(ids == naive_match(vocabulary, word));
  }
}

// The same words wherever the text begins in a block.
void check_shifted(const WordSplitter& splitter, std::string_view text, const Words& words) {
  Words shifted;
  splitter.split(std::string(1 + text.size() % 63, ' ').append(text), {"text", 1}, shifted);
  require(words.size() == shifted.size());
  for (size_t i = 0; i < words.size(); ++i) require(words[i] == shifted[i]);
}

void check(std::string_view pieces, std::string_view text) {
  static const WordSplitter splitters[] = {WordSplitter({true, true}), WordSplitter({true, false}),
                                           WordSplitter({false, true}),
                                           WordSplitter({false, false})};
  static const Vocabulary known = Vocabulary::parse(
      concat(kSpecialPieces, "a\nb\nc\n##a\n##b\n##c\nab\n##bc\nabc\n,\n.\né\n##é\n"), "known");
  static Tokenizer tokenizer(known, {});
  const bool valid = is_utf8(text);
  for (const WordSplitter& splitter : splitters) {
    Words words;
    try {
      splitter.split(text, {"text", 1}, words);
      require(valid);
    } catch (const Error&) {
      require(!valid);
      return;
    }
    check_shifted(splitter, text, words);
    check_matches(words, known);
    try {
      check_matches(words, Vocabulary::parse(kSpecialPieces + std::string(pieces), "pieces"));
    } catch (const Error&) {
    }
  }
  std::vector<int32_t> first, again;
  tokenizer.encode(text, {"text", 1}, first);
  tokenizer.encode(text, {"text", 1}, again);
  require(first == again);
}

}  // namespace
}  // namespace funnel

std::vector<std::string> funnel::testing::fuzz_seeds() {
  return {
      "un\n##able\n##b\n\xff"
      "unable, b\xc3\xa9"
      "d 1.5",
      "a\n##a\n\xff"
      "aaaa \xe4\xb8\xad\xe6\x96\x87 \xc4\xb0 A\xcc\x81"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t border = std::min(bytes.find('\xFF'), size);
  funnel::check(bytes.substr(0, border), bytes.substr(std::min(border + 1, size)));
  return 0;
}
