// SPDX-License-Identifier: Apache-2.0
// Oracle: what huggingface/tokenizers (BertNormalizer, BertPreTokenizer, WordPiece) gives for the
// same text, written out by hand as words and pieces; plain loops written here. The package itself
// is asked by tokenizer_parity_test.py.
#include "data/tokenizer.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>

#include "data/tokenizer_ascii.h"
#include "tests/data/expect_error.h"
#include "tests/data/naive_match.h"
#include "tests/data/small_vocabulary.h"

namespace funnel {
namespace {

std::vector<std::string> words_of(std::string_view text, WordRules rules = {}) {
  static std::map<std::pair<bool, bool>, WordSplitter> splitters;
  const auto key = std::pair(rules.lower_case, rules.strip_accents);
  Words words;
  splitters.try_emplace(key, rules).first->second.split(text, {"text", 1}, words);
  std::vector<std::string> list;
  for (size_t i = 0; i < words.size(); ++i) list.emplace_back(words[i]);
  return list;
}

constexpr WordRules kCased{.lower_case = false, .strip_accents = false};

using List = std::vector<std::string>;

TEST(Words, AsciiSpacesAndPunctuation) {
  EXPECT_EQ(words_of("  Hello,\tWorld!\r\n"), (List{"hello", ",", "world", "!"}));
  EXPECT_EQ(words_of("don't $5.00 a_b"),
            (List{"don", "'", "t", "$", "5", ".", "00", "a", "_", "b"}));
  EXPECT_EQ(words_of(""), List{});
  EXPECT_EQ(words_of(" \t "), List{});
}

TEST(Words, Cased) {
  EXPECT_EQ(words_of("Café ÉCOLE", kCased), (List{"Café", "ÉCOLE"}));
}

TEST(Words, AccentsAndCombiningMarks) {
  EXPECT_EQ(words_of("Café naïve Ångström"), (List{"cafe", "naive", "angstrom"}));
  EXPECT_EQ(words_of("cafe\u0301 a\u0323\u0307b"), (List{"cafe", "ab"}));
  EXPECT_EQ(words_of("Straße ẞ ﬁ"), (List{"straße", "ß", "ﬁ"}));
}

TEST(Words, AccentsAndCaseAreIndependent) {
  EXPECT_EQ(words_of("Élan", {.lower_case = true, .strip_accents = false}), List{"élan"});
  EXPECT_EQ(words_of("Élan", {.lower_case = false, .strip_accents = true}), List{"Elan"});
}

TEST(Words, KeptMarksAreOrderedByClass) {
  // Classes 224, 216, 226, 216: neither is an accent (Mn). Sorted, equal ones in their order.
  EXPECT_EQ(words_of("x\u302E\U0001D165\U0001D16D\U0001D166"),
            List{"x\U0001D165\U0001D166\u302E\U0001D16D"});
  // A letter between them keeps them apart, and so does an accent of class 0 that vanishes.
  EXPECT_EQ(words_of("\u302Ea\U0001D165"), List{"\u302Ea\U0001D165"});
  EXPECT_EQ(words_of("\u302E\u0947\U0001D165"), List{"\u302E\U0001D165"});
  EXPECT_EQ(words_of("\u302E\u0301\U0001D165"), List{"\U0001D165\u302E"});
  EXPECT_EQ(words_of("\u302E \U0001D165"), (List{"\u302E", "\U0001D165"}));
}

TEST(Words, TurkishDottedI) {
  // U+0130 decomposes to I and a dot, which goes; U+0131 has no decomposition.
  EXPECT_EQ(words_of("İstanbul ıI"), (List{"istanbul", "ıi"}));
  // The one code point whose lower case has two.
  EXPECT_EQ(words_of("İ", {.lower_case = true, .strip_accents = false}), List{"i\u0307"});
}

TEST(Words, GreekFinalSigmaIsNotSpecial) {
  EXPECT_EQ(words_of("ΟΔΥΣΣΕΥΣ"), (List{"οδυσσευσ"}));
  EXPECT_EQ(words_of("οδος"), (List{"οδος"}));
}

TEST(Words, CjkStandsAlone) {
  EXPECT_EQ(words_of("ab中文cd"), (List{"ab", "中", "文", "cd"}));
  EXPECT_EQ(words_of("日本語テスト"), (List{"日", "本", "語", "テスト"}));
  EXPECT_EQ(words_of("x\U00020000y"), (List{"x", "\U00020000", "y"}));
}

TEST(Words, HangulDecomposes) {
  EXPECT_EQ(words_of("각"), (List{"\u1100\u1161\u11A8"}));
  EXPECT_EQ(words_of("각", kCased), (List{"각"}));
}

TEST(Words, InvisibleCharactersVanish) {
  EXPECT_EQ(words_of("zero\u200Bwidth soft\u00ADhyphen \uFEFFmark"),
            (List{"zerowidth", "softhyphen", "mark"}));
  EXPECT_EQ(words_of(std::string_view("a\0b\x07"
                                      "c\x7F"
                                      "d\uFFFD",
                                      10)),
            (List{"abcd"}));
}

TEST(Words, UnicodeSpacesAndPunctuation) {
  EXPECT_EQ(words_of("a\u00A0b\u3000c\u2028d"), (List{"a", "b", "c", "d"}));
  EXPECT_EQ(words_of("“x”—y…"), (List{"“", "x", "”", "—", "y", "…"}));
}

TEST(Words, OtherBytesThanUtf8AreNamed) {
  for (const char* bad :
       {"ab\xFFzz", "ab\xC3", "ab\xED\xA0\x80", "ab\xC0\x80", "ab\xF5\x80\x80\x80"}) {
    testing::expect_error(ExitCode::kUsage, {"text.txt:7", "UTF-8", "offset 2"}, [&] {
      Words words;
      WordSplitter({}).split(bad, {"text.txt", 7}, words);
    });
  }
}

// Every byte in every place of a block.
TEST(Ascii, BlocksAreWhatPlainLoopsSay) {
  for (int shift = 0; shift < 256; ++shift) {
    std::array<char, kAsciiBlock> text, fast, plain;
    for (int i = 0; i < kAsciiBlock; ++i) text[i] = static_cast<char>(i + shift);
    for (const bool lower_case : {false, true}) {
      const AsciiMasks a = ascii_masks(text.data(), lower_case, fast.data());
      const AsciiMasks b = ascii_masks_portable(text.data(), lower_case, plain.data());
      ASSERT_EQ(a.letters, b.letters) << shift;
      ASSERT_EQ(a.punctuation, b.punctuation) << shift;
      ASSERT_EQ(a.others, b.others) << shift;
      ASSERT_EQ(fast, plain) << shift;
    }
  }
}

// The words of text made of these characters, one at a time.
List naive_words(const std::vector<std::string>& characters) {
  List words;
  bool is_open = false;
  for (const std::string& c : characters) {
    if (c == " ") {
      is_open = false;
    } else if (c == "." || c == "中") {
      words.push_back(c);
      is_open = false;
    } else if (c != "\u200B" && c != "\x01") {
      if (!is_open) words.emplace_back();
      words.back() += c;
      is_open = true;
    }
  }
  return words;
}

TEST(Words, BlockBordersDoNotShow) {
  const List alphabet{"a", "b", "1", " ", ".", "é", "中", "\u200B", "\x01"};
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    // Mostly ASCII, so that runs reach over blocks; lengths around multiples of a block.
    const size_t exotic = round % 3 == 0 ? alphabet.size() : 5;
    List characters(random() % 4 * kAsciiBlock + random() % 5);
    std::string text;
    for (std::string& c : characters) {
      c = alphabet[random() % 64 == 0 ? random() % exotic : random() % (2 + random() % 4)];
      text += c;
    }
    ASSERT_EQ(words_of(text, kCased), naive_words(characters)) << text;
  }
}

std::string random_word(std::mt19937& random, size_t longest) {
  std::string word(1 + random() % longest, ' ');
  for (char& c : word) c = static_cast<char>('a' + random() % 3);
  return word;
}

TEST(PieceMatcher, EqualsTheDefinition) {
  std::mt19937 random(4);
  int64_t matched = 0;
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> pieces;
    const size_t longest = 1 + random() % 6;
    for (size_t i = random() % 60; i > 0; --i) {
      pieces.insert((random() % 2 == 0 ? "##" : "") + random_word(random, longest));
    }
    const Vocabulary vocabulary =
        testing::vocabulary_of(std::vector<std::string>(pieces.begin(), pieces.end()));
    const PieceMatcher matcher(vocabulary, 100);
    for (int i = 0; i < 300; ++i) {
      const std::string word = random_word(random, 12);
      std::vector<int32_t> ids(word.size());
      ids.resize(static_cast<size_t>(matcher.match(word, ids.data())));
      ASSERT_EQ(ids, naive_match(vocabulary, word)) << word;
      matched += ids.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(matched, 10'000);
}

class TokenizerTest : public ::testing::Test {
 protected:
  const Vocabulary vocabulary_ = testing::vocabulary_of(
      {"un", "##aff", "##able", "runn", "##ing", "run", "a", "##b", "é", ",", "##é"});
  Tokenizer tokenizer_{vocabulary_, {}};

  std::string pieces(std::string_view text) {
    std::vector<int32_t> ids;
    const int64_t count = tokenizer_.encode(text, {"text", 1}, ids);
    EXPECT_EQ(count, static_cast<int64_t>(ids.size()));
    return pieces_of(ids);
  }
  std::string pieces_of(const std::vector<int32_t>& ids) const {
    std::string joined;
    for (int32_t id : ids) joined += (joined.empty() ? "" : " ") + vocabulary_.piece(id);
    return joined;
  }
};

TEST_F(TokenizerTest, LongestMatchFirst) {
  EXPECT_EQ(pieces("Unaffable running"), "un ##aff ##able runn ##ing");
  EXPECT_EQ(pieces("run, a ab abb"), "run , a a ##b a ##b ##b");
}

TEST_F(TokenizerTest, RestWithoutPieceMakesTheWordUnknown) {
  EXPECT_EQ(pieces("unx"), "<unk>");
  EXPECT_EQ(pieces("b un"), "<unk> un");
}

TEST_F(TokenizerTest, PiecesBreakBetweenCharactersOnly) {
  Tokenizer cased(vocabulary_, {.lower_case = false, .strip_accents = false});
  std::vector<int32_t> ids;
  cased.encode("éé aé", {"text", 1}, ids);
  EXPECT_EQ(pieces_of(ids), "é ##é a ##é");
}

TEST_F(TokenizerTest, LongWords) {
  const std::string longest = "a" + std::string(99, 'b');
  EXPECT_EQ(pieces(longest + " a").substr(0, 7), "a ##b #");
  EXPECT_EQ(pieces(longest + "b a"), "<unk> a");
  Tokenizer short_words(vocabulary_, {.max_word_chars = 2});
  std::vector<int32_t> ids;
  short_words.encode("ab run é", {"text", 1}, ids);
  EXPECT_EQ(pieces_of(ids), "a ##b <unk> <unk>");
}

TEST_F(TokenizerTest, RememberedWordsStayTheSame) {
  // More distinct words than are remembered, twice; around the longest that are.
  const Vocabulary vocabulary = testing::vocabulary_of({"a", "##a", "##b"});
  Tokenizer tokenizer(vocabulary, {});
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100'000; ++i) {
      std::string word = "a";
      for (int bit = 0; bit < i % 19; ++bit) word += (i / 19 >> bit & 1) != 0 ? 'b' : 'a';
      std::vector<int32_t> ids;
      tokenizer.encode(word, {"text", 1}, ids);
      ASSERT_EQ(ids, naive_match(vocabulary, word)) << word;
    }
  }
}

TEST_F(TokenizerTest, AppendsToWhatIsThere) {
  std::vector<int32_t> ids{99};
  tokenizer_.encode("a", {"text", 1}, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{99, vocabulary_.find("a")}));
}

}  // namespace
}  // namespace funnel
