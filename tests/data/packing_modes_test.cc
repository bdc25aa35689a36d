// SPDX-License-Identifier: Apache-2.0
// Oracle: the properties that packing.h states for sentences and for ELECTRA's examples, checked on
// text whose tokens tell where they came from; shares with fixed seeds and bounds of at least five
// standard deviations.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "data/packing.h"
#include "tests/data/expect_error.h"
#include "tests/data/numbered_text.h"

namespace funnel {
namespace {

using testing::NumberedText;
using testing::pack_examples;
using testing::PackedExample;

constexpr SpecialIds kSpecial = testing::kNumberedSpecial;

// [CLS] A [SEP], B [SEP] or not, then padding to the end; tokens of the text elsewhere.
void expect_layout(const PackedExample& example, int64_t seq_len, const NumberedText& text) {
  ASSERT_EQ(static_cast<int64_t>(example.ids.size()), seq_len);
  const ExampleLayout layout = layout_of(example.ids, example.a, kSpecial.pad);
  ASSERT_GE(layout.segment_a, 1);
  EXPECT_EQ(example.ids[0], kSpecial.cls);
  EXPECT_EQ(example.ids.at(layout.segment_a + 1), kSpecial.sep);
  EXPECT_EQ(example.ids.at(layout.length - 1), kSpecial.sep);
  for (int64_t i = 1; i < layout.length; ++i) {
    EXPECT_NE(example.ids[i], kSpecial.pad);
    EXPECT_NE(example.ids[i], kSpecial.cls);
    EXPECT_LT(example.ids[i], text.end);
  }
}

std::vector<int32_t> tokens(const PackedExample& example, int64_t begin, int64_t count) {
  return {example.ids.begin() + begin, example.ids.begin() + begin + count};
}

TEST(PackingSentences, EveryTokenOfEveryDocumentOnceAndInOrder) {
  for (const auto& [longest, seq_len] : {std::pair{40, 64}, {40, 16}, {7, 128}, {500, 32}}) {
    const NumberedText text(300, longest);
    std::map<int32_t, int> uses;
    std::vector<int32_t> sequence;
    for (const PackedExample& example : pack_examples(text, PackingMode::sentences, seq_len)) {
      expect_layout(example, seq_len, text);
      EXPECT_FALSE(layout_of(example.ids, example.a, kSpecial.pad).has_b());
      for (int32_t id : tokens(example, 1, example.a)) {
        if (id == kSpecial.sep) continue;
        ++uses[id];
        sequence.push_back(id);
      }
    }
    EXPECT_EQ(static_cast<int64_t>(uses.size()), text.documents.tokens());
    EXPECT_EQ(sequence.size(), uses.size());
    // Documents come in another order, but whole.
    for (size_t i = 1; i < sequence.size(); ++i) {
      if (sequence[i] == sequence[i - 1] + 1) continue;
      EXPECT_TRUE(text.document_ends.contains(sequence[i - 1] + 1));
      EXPECT_TRUE(text.document_ends.contains(sequence[i]) ||
                  sequence[i] == testing::kFirstNumbered);
    }
  }
}

TEST(PackingSentences, AreWholeAndAsManyAsFit) {
  const NumberedText text(300, 20);
  const int64_t seq_len = 48, room = seq_len - 2;
  const std::vector<PackedExample> examples = pack_examples(text, PackingMode::sentences, seq_len);
  for (size_t e = 0; e < examples.size(); ++e) {
    // Every example begins with a sentence, so none was cut at the end of the one before.
    EXPECT_TRUE(text.sentence_begins.contains(examples[e].ids[1]));
    if (e == 0) continue;
    // The sentence that begins this one did not fit into the one before.
    const int32_t first = examples[e].ids[1];
    const auto next = text.sentence_begins.upper_bound(first);
    const int64_t size = (next == text.sentence_begins.end() ? text.end : *next) - first;
    const int64_t separator =
        text.document_ends.contains(first) || first == testing::kFirstNumbered ? 1 : 0;
    EXPECT_GT(examples[e - 1].a + separator + size, room);
  }
}

TEST(PackingSentences, SepStandsBetweenDocuments) {
  const NumberedText text(100, 10);
  int64_t separators = 0;
  for (const PackedExample& example : pack_examples(text, PackingMode::sentences, 64)) {
    for (int64_t i = 1; i < example.a; ++i) {
      const int32_t before = example.ids[i], after = example.ids[i + 1];
      if (before == kSpecial.sep) continue;
      const bool ends = text.document_ends.contains(before + 1);
      EXPECT_EQ(after == kSpecial.sep, ends);
      separators += ends;
    }
  }
  EXPECT_GT(separators, 50);
}

TEST(PackingSentences, OneSentenceLongerThanAnExampleIsCut) {
  NumberedText text(0);
  std::vector<int32_t> ids(25);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = 100 + static_cast<int32_t>(i);
  text.documents.add_sentence(std::vector<int32_t>{200, 201});
  text.documents.add_sentence(ids);
  text.documents.add_sentence(std::vector<int32_t>{300});
  text.documents.end_document();
  text.end = 400;
  const std::vector<PackedExample> examples = pack_examples(text, PackingMode::sentences, 12);
  ASSERT_EQ(examples.size(), 4u);
  EXPECT_EQ(examples[0].ids, (std::vector<int32_t>{2, 200, 201, 3, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(examples[1].ids,
            (std::vector<int32_t>{2, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 3}));
  EXPECT_EQ(examples[3].ids,
            (std::vector<int32_t>{2, 120, 121, 122, 123, 124, 300, 3, 0, 0, 0, 0}));
  EXPECT_EQ(examples[1].a, 10);
  EXPECT_EQ(examples[3].a, 6);
}

TEST(PackingElectra, SegmentsAreOfOneDocumentAndInOrder) {
  const NumberedText text(400, 12);
  int64_t pairs = 0, singles = 0;
  for (const PackedExample& example : pack_examples(text, PackingMode::electra, 40)) {
    expect_layout(example, 40, text);
    const ExampleLayout layout = layout_of(example.ids, example.a, kSpecial.pad);
    const std::vector<int32_t> a = tokens(example, 1, layout.segment_a);
    const std::vector<int32_t> b = layout.has_b()
                                       ? tokens(example, layout.segment_a + 2, layout.segment_b())
                                       : std::vector<int32_t>{};
    (b.empty() ? singles : pairs) += 1;
    for (const std::vector<int32_t>& segment : {a, b}) {
      EXPECT_TRUE(std::is_sorted(segment.begin(), segment.end()));
      EXPECT_EQ(std::count(segment.begin(), segment.end(), kSpecial.sep), 0);
      EXPECT_TRUE(segment.empty() || text.sentence_begins.contains(segment[0]));
      for (int32_t id : segment) EXPECT_EQ(text.document_of(id), text.document_of(a[0]));
    }
  }
  EXPECT_GT(pairs, 100);
  EXPECT_GT(singles, 20);
}

TEST(PackingElectra, NoTokenTwice) {
  const NumberedText text(400, 30);
  std::map<int32_t, int> uses;
  for (const PackedExample& example : pack_examples(text, PackingMode::electra, 64)) {
    for (int32_t id : example.ids) uses[id] += id >= testing::kFirstNumbered;
  }
  for (const auto& [id, count] : uses) EXPECT_LE(count, 1);
  // What is trimmed is the end of an example's last sentences.
  EXPECT_GT(static_cast<double>(uses.size()), 0.7 * text.documents.tokens());
}

TEST(PackingElectra, SharesOfSingleAndShortExamples) {
  // One document of sentences of one token, so that lengths follow from the draws alone: a target
  // of t makes t + 3 tokens, or t + 2 with one segment, cut at the length; A has (t - 3) / 2 or one
  // less, or all.
  const int64_t seq_len = 64;
  const NumberedText text(1, 1, 1 << 19);
  const std::vector<PackedExample> examples = pack_examples(text, PackingMode::electra, seq_len);
  std::map<int64_t, int64_t> a_of_pairs;
  double single = 0, is_short = 0, shorter_than_half = 0, full_pairs = 0;
  for (const PackedExample& example : examples) {
    const ExampleLayout layout = layout_of(example.ids, example.a, kSpecial.pad);
    single += !layout.has_b();
    is_short += layout.length < seq_len;
    shorter_than_half += layout.length <= 34;
    if (layout.has_b() && layout.length == seq_len) {
      ++full_pairs;
      ++a_of_pairs[layout.segment_a];
    }
  }
  const auto n = static_cast<double>(examples.size());
  EXPECT_GT(n, 8000);
  EXPECT_NEAR(single / n, 0.1, 0.017);                        // deviation 0.0033
  EXPECT_NEAR(is_short / n, 0.05 * 56 / 60, 0.012);           // targets 5 to 60 of 5 to 64
  EXPECT_NEAR(shorter_than_half / n, 0.05 * 27 / 60, 0.009);  // targets 5 to 31
  // A has 29 or 30 of the 61 tokens: the sentence that reaches the share goes either way. Targets
  // of 61 to 63 may make 28.
  EXPECT_NEAR(static_cast<double>(a_of_pairs[29]) / full_pairs, 0.5, 0.04);
  EXPECT_NEAR(static_cast<double>(a_of_pairs[30]) / full_pairs, 0.5, 0.04);
}

TEST(PackingModes, AreFunctionsOfSeedGroupAndPass) {
  const NumberedText text(100);
  for (const PackingMode mode : {PackingMode::sentences, PackingMode::electra}) {
    const auto ids = [&](uint64_t seed, int64_t pass, int64_t group) {
      std::vector<int32_t> all;
      for (const PackedExample& e : pack_examples(text, mode, 64, seed, pass, group)) {
        all.insert(all.end(), e.ids.begin(), e.ids.end());
      }
      return all;
    };
    EXPECT_EQ(ids(1, 0, 0), ids(1, 0, 0));
    EXPECT_NE(ids(1, 0, 0), ids(2, 0, 0));
    EXPECT_NE(ids(1, 0, 0), ids(1, 1, 0));
    EXPECT_NE(ids(1, 0, 0), ids(1, 0, 1));
    EXPECT_TRUE(pack_examples(NumberedText(0), mode, 64).empty());
  }
}

TEST(PackingModes, HaveNames) {
  for (const PackingMode mode :
       {PackingMode::segment_pairs, PackingMode::sentences, PackingMode::electra}) {
    EXPECT_EQ(packing_mode_of(name_of(mode), "index"), mode);
  }
  testing::expect_error(ExitCode::kUsage, {"index", "packing mode", "'both'"},
                        [] { packing_mode_of("both", "index"); });
}

}  // namespace
}  // namespace funnel
