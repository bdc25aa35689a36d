// SPDX-License-Identifier: Apache-2.0
// Oracle: what huggingface/tokenizers (BertNormalizer, BertPreTokenizer, WordPiece) gives for the
// same text, written out by hand as words and pieces.
#include "data/tokenizer.h"

#include <gtest/gtest.h>

#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"

namespace funnel {
namespace {

std::vector<std::string> words_of(std::string_view text, bool lower_case = true) {
  Words words;
  split_words(text, lower_case, {"text", 1}, words);
  std::vector<std::string> list;
  for (size_t i = 0; i < words.size(); ++i) list.emplace_back(words[i]);
  return list;
}

using List = std::vector<std::string>;

TEST(Words, AsciiSpacesAndPunctuation) {
  EXPECT_EQ(words_of("  Hello,\tWorld!\r\n"), (List{"hello", ",", "world", "!"}));
  EXPECT_EQ(words_of("don't $5.00 a_b"),
            (List{"don", "'", "t", "$", "5", ".", "00", "a", "_", "b"}));
  EXPECT_EQ(words_of(""), List{});
  EXPECT_EQ(words_of(" \t "), List{});
}

TEST(Words, Cased) {
  EXPECT_EQ(words_of("Café ÉCOLE", false), (List{"Café", "ÉCOLE"}));
}

TEST(Words, AccentsAndCombiningMarks) {
  EXPECT_EQ(words_of("Café naïve Ångström"), (List{"cafe", "naive", "angstrom"}));
  EXPECT_EQ(words_of("cafe\u0301 a\u0323\u0307b"), (List{"cafe", "ab"}));
  EXPECT_EQ(words_of("Straße ẞ ﬁ"), (List{"straße", "ß", "ﬁ"}));
}

TEST(Words, TurkishDottedI) {
  // U+0130 decomposes to I and a dot, which goes; U+0131 has no decomposition.
  EXPECT_EQ(words_of("İstanbul ıI"), (List{"istanbul", "ıi"}));
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
  EXPECT_EQ(words_of("각", false), (List{"각"}));
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
      split_words(bad, true, {"text.txt", 7}, words);
    });
  }
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
  Tokenizer cased(vocabulary_, {.lower_case = false});
  std::vector<int32_t> ids;
  cased.encode("éé aé", {"text", 1}, ids);
  EXPECT_EQ(decode(vocabulary_, ids.data(), static_cast<int64_t>(ids.size())), "éé aé");
  EXPECT_EQ(ids.size(), 4u);
}

TEST_F(TokenizerTest, LongWords) {
  const std::string longest = "a" + std::string(99, 'b');
  EXPECT_EQ(pieces(longest + " a").substr(0, 7), "a ##b #");
  EXPECT_EQ(pieces(longest + "b a"), "<unk> a");
  Tokenizer short_words(vocabulary_, {.max_word_chars = 2});
  std::vector<int32_t> ids;
  short_words.encode("ab run é", {"text", 1}, ids);
  EXPECT_EQ(decode(vocabulary_, ids.data(), static_cast<int64_t>(ids.size())), "ab <unk> <unk>");
}

TEST_F(TokenizerTest, RememberedWordsStayTheSame) {
  // More distinct words than are remembered, twice.
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100'000; ++i) {
      std::vector<int32_t> ids;
      std::string word = "a";
      for (int bit = 0; bit < 17; ++bit) word += (i >> bit & 1) != 0 ? "b" : ",";
      tokenizer_.encode_word(word, ids);
      const bool known = (i & (i + 1)) == 0 && i == (1 << 17) - 1;
      ASSERT_EQ(ids.size(), known ? 18u : 1u) << word;
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
