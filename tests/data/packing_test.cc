// SPDX-License-Identifier: Apache-2.0
// Oracle: the properties that tensorflow/create_pretrain_data.py of laiguokun/Funnel-Transformer
// gives every example. Tokens tell where they came from: token i of the text has id 100 + i.
#include "data/packing.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/data/numbered_text.h"

namespace funnel {
namespace {

using Text = testing::NumberedText;
using Example = testing::PackedExample;

constexpr SpecialIds kSpecial = testing::kNumberedSpecial;
constexpr int32_t kFirst = testing::kFirstNumbered;

std::vector<Example> examples_of(const Text& text, int64_t seq_len, uint64_t seed = 7,
                                 int64_t pass = 0, int64_t group = 0) {
  return testing::pack_examples(text, PackingMode::segment_pairs, seq_len, seed, pass, group);
}

// Within a segment, text goes on, or jumps from a document's end to another's beginning.
void expect_contiguous(const Text& text, const std::vector<int32_t>& ids, int64_t begin,
                       int64_t end) {
  for (int64_t i = begin + 1; i < end; ++i) {
    if (ids[i] == ids[i - 1] + 1) continue;
    EXPECT_TRUE(text.document_ends.contains(ids[i - 1] + 1)) << "jump inside a document";
    EXPECT_TRUE(text.document_ends.contains(ids[i]) || ids[i] == kFirst);
  }
}

TEST(Packing, EveryExampleIsFull) {
  const Text text(300);
  for (const int64_t seq_len : {8, 33, 128}) {
    const std::vector<Example> examples = examples_of(text, seq_len);
    ASSERT_GT(examples.size(), 20u);
    for (const Example& example : examples) {
      ASSERT_EQ(static_cast<int64_t>(example.ids.size()), seq_len);
      ASSERT_GE(example.a, 1);
      ASSERT_LE(example.a, seq_len - 4);
      for (int64_t i = 0; i < seq_len; ++i) {
        const bool is_sep = i == example.a + 1 || i == seq_len - 1;
        if (i == 0 || is_sep) {
          EXPECT_EQ(example.ids[i], is_sep ? kSpecial.sep : kSpecial.cls);
        } else {
          EXPECT_GE(example.ids[i], kFirst);
          EXPECT_LT(example.ids[i], text.end);
        }
      }
      expect_contiguous(text, example.ids, 1, example.a + 1);
      expect_contiguous(text, example.ids, example.a + 2, seq_len - 1);
    }
  }
}

TEST(Packing, SegmentABeginsAtASentence) {
  const Text text(300);
  for (const Example& example : examples_of(text, 64)) {
    EXPECT_TRUE(text.sentence_begins.contains(example.ids[1]));
  }
}

TEST(Packing, HalfOfThePairsFollowEachOther) {
  // B follows A when it goes on behind A's last token in the text, or, where trimming took tokens
  // of A's end or B's beginning, not far behind. Documents are one sentence run here, so that the
  // order of the ids is that of the text within a document.
  Text text(1);
  std::vector<int32_t> sentence;
  for (int i = 0; i < 20000; ++i) {
    sentence.assign(7, 0);
    for (int32_t& id : sentence) id = text.end++;
    text.documents.add_sentence(sentence);
  }
  text.documents.end_document();
  const std::vector<Example> examples = examples_of(text, 64);
  int follow = 0;
  for (const Example& example : examples) {
    const int64_t gap = example.ids[example.a + 2] - example.ids[example.a];
    follow += gap > 0 && gap <= 64;
  }
  const double share = static_cast<double>(follow) / static_cast<double>(examples.size());
  // About 3300 pairs: standard deviation 0.009.
  EXPECT_GT(examples.size(), 2500u);
  EXPECT_NEAR(share, 0.5, 0.04);
}

TEST(Packing, SentencesLongerThanAnExample) {
  const Text text(40, 500);
  const std::vector<Example> examples = examples_of(text, 32);
  EXPECT_GT(examples.size(), 20u);
  for (const Example& example : examples) {
    EXPECT_EQ(example.ids.back(), kSpecial.sep);
    expect_contiguous(text, example.ids, 1, example.a + 1);
  }
}

TEST(Packing, NearlyAllTextIsUsedOnceAsAOrFollowingB) {
  const Text text(2000);
  std::map<int32_t, int> uses;
  for (const Example& example : examples_of(text, 64)) {
    for (int32_t id : example.ids) ++uses[id];
  }
  // Trimming leaves some tokens out.
  EXPECT_GT(static_cast<double>(uses.size()) / text.documents.tokens(), 0.8);
}

TEST(Packing, IsAFunctionOfSeedGroupAndPass) {
  const Text text(100);
  const auto ids = [&](uint64_t seed, int64_t pass, int64_t group) {
    std::vector<int32_t> all;
    for (const Example& e : examples_of(text, 64, seed, pass, group)) {
      all.insert(all.end(), e.ids.begin(), e.ids.end());
    }
    return all;
  };
  EXPECT_EQ(ids(1, 0, 0), ids(1, 0, 0));
  EXPECT_NE(ids(1, 0, 0), ids(2, 0, 0));
  EXPECT_NE(ids(1, 0, 0), ids(1, 1, 0));
  EXPECT_NE(ids(1, 0, 0), ids(1, 0, 1));
}

TEST(Packing, TooShortTextGivesNothing) {
  const Text text(1);
  EXPECT_TRUE(examples_of(text, 512).empty());
  EXPECT_TRUE(examples_of(Text(0), 8).empty());
}

TEST(TokenizedDocuments, EmptySentencesAndDocumentsVanish) {
  TokenizedDocuments documents;
  documents.end_document();
  documents.add_sentence({});
  documents.end_document();
  EXPECT_EQ(documents.documents(), 0);
  documents.add_sentence(std::vector<int32_t>{5, 6});
  documents.add_sentence({});
  documents.end_document();
  EXPECT_EQ(documents.documents(), 1);
  EXPECT_EQ(documents.sentences(), 1);
  EXPECT_EQ(documents.tokens(), 2);
}

}  // namespace
}  // namespace funnel
