// SPDX-License-Identifier: Apache-2.0
// Oracle: vocabularies written out here, with the ids that their lines give.
#include "data/vocabulary.h"

#include <gtest/gtest.h>

#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

TEST(Vocabulary, BertSpelling) {
  const Vocabulary vocabulary =
      Vocabulary::parse("[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\n", "v");
  EXPECT_EQ(vocabulary.size(), 8);
  EXPECT_EQ(vocabulary.special(), (SpecialIds{.pad = 0, .unk = 2, .cls = 3, .sep = 4, .mask = 5}));
  EXPECT_EQ(vocabulary.find("the"), 6);
  EXPECT_EQ(vocabulary.find("##s"), 7);
  EXPECT_EQ(vocabulary.find("s"), -1);
  EXPECT_EQ(vocabulary.piece(7), "##s");
}

TEST(Vocabulary, FunnelSpellingCarriageReturnsAndNoLastLineEnd) {
  const Vocabulary vocabulary =
      Vocabulary::parse("x\r\n<mask>\r\n<sep>\r\n<cls>\r\n<unk>\r\n<pad>", "v");
  EXPECT_EQ(vocabulary.special(), (SpecialIds{.pad = 5, .unk = 4, .cls = 3, .sep = 2, .mask = 1}));
  EXPECT_EQ(vocabulary.piece(0), "x");
}

TEST(Vocabulary, ReadsAFileWithItsDigest) {
  const testing::TemporaryFolder folder;
  const Vocabulary made = testing::vocabulary_of({"a"});
  const Vocabulary read = Vocabulary::read(folder.file("vocab.txt", made.text()));
  EXPECT_EQ(read.digest(), made.digest());
  EXPECT_EQ(read.digest().size(), 64u);
  EXPECT_EQ(read.special(), (SpecialIds{0, 1, 2, 3, 4}));
}

TEST(Vocabulary, Errors) {
  testing::expect_error(ExitCode::kUsage, {"v:3", "'a'", "line 1"},
                        [] { Vocabulary::parse("a\nb\na\n", "v"); });
  testing::expect_error(ExitCode::kUsage, {"v:2", "UTF-8"},
                        [] { Vocabulary::parse("a\nb\xC3\nc\n", "v"); });
  testing::expect_error(ExitCode::kUsage, {"v:2", "empty line"},
                        [] { Vocabulary::parse("a\n\nb\n", "v"); });
  testing::expect_error(ExitCode::kUsage, {"v", "<sep>", "[SEP]", "neither"},
                        [] { Vocabulary::parse("<pad>\n<unk>\n<cls>\n<mask>\n", "v"); });
  testing::expect_error(ExitCode::kUsage, {"v", "<pad>", "[PAD]", "both"},
                        [] { Vocabulary::parse("<pad>\n[PAD]\n", "v"); });
  testing::expect_error(ExitCode::kUsage, {"/nowhere/vocab.txt"},
                        [] { Vocabulary::read("/nowhere/vocab.txt"); });
}

}  // namespace
}  // namespace funnel
