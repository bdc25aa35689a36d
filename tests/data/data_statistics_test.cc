// SPDX-License-Identifier: Apache-2.0
// Oracle: examples written down here and counted by hand; sums that must agree.
#include "data/data_statistics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/data/numbered_text.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

// A data folder in chunks of two with these rows.
DataSet write_rows(const std::filesystem::path& folder, PackingMode mode, int64_t vocab,
                   const std::vector<testing::PackedExample>& rows) {
  const Vocabulary vocabulary = testing::vocabulary_of_size(vocab);
  DataIndex index = testing::index_for(vocabulary, static_cast<int64_t>(rows.at(0).ids.size()), 2);
  index.packing = mode;
  ShardWriter writer(folder, index, 4);
  for (const auto& row : rows) writer.add(row.ids, row.a);
  writer.finish(vocabulary, 77);
  return DataSet::open(folder);
}

TEST(DataStatistics, CountedByHand) {
  const testing::TemporaryFolder folder;
  const DataSet data = write_rows(folder / "d", PackingMode::electra, 20,
                                  {{{2, 5, 6, 3, 7, 7, 1, 3}, 2},
                                   {{2, 5, 3, 0, 0, 0, 0, 0}, 1},
                                   {{2, 9, 3, 9, 3, 0, 0, 0}, 1},
                                   {{2, 8, 8, 8, 8, 8, 8, 3}, 6},
                                   {{2, 1, 3, 0, 0, 0, 0, 0}, 1}});
  const DataStatistics statistics = count_examples(data, 0, 1, data.chunks());
  EXPECT_EQ(statistics.examples(), 5);
  EXPECT_EQ(statistics.pairs, 2);
  EXPECT_EQ(statistics.segment_a_tokens, 11);
  EXPECT_EQ(statistics.padding(data.index()), 13);
  EXPECT_EQ(statistics.text_tokens(data.index()), 5 + 1 + 2 + 6 + 1);
  EXPECT_EQ(statistics.uses[8], 6);
  EXPECT_EQ(statistics.uses[1], 2);
  EXPECT_EQ(statistics.lengths, (std::vector<int64_t>{0, 0, 0, 2, 0, 1, 0, 0, 2}));
  const std::string report = report_text(data.index(), statistics);
  for (const char* part :
       {"packing           electra, 1 pass", "text              77 tokens",
        "examples          5 of 8 tokens", "two segments    2, 40.00 %", "tokens of text    15",
        "padding           13, 32.50 %", "vocabulary used   9 of 20 pieces, 45.00 %",
        "unknown           2, 13.3333 %", "3 to     3             2  40.00 %",
        "8 to     8             2  40.00 %", "full                       2  40.00 %"}) {
    EXPECT_NE(report.find(part), std::string::npos) << part << " in\n" << report;
  }
}

TEST(DataStatistics, PartsAddUpAndTextIsConserved) {
  const testing::TemporaryFolder folder;
  const testing::NumberedText text(60, 20);
  const DataSet data = write_rows(folder / "d", PackingMode::sentences, text.end + 1,
                                  testing::pack_examples(text, PackingMode::sentences, 32));
  const DataStatistics whole = count_examples(data, 0, 1, data.chunks());
  DataStatistics parts(data.index());
  for (int64_t part = 2; part >= 0; --part) parts.add(count_examples(data, part, 3, data.chunks()));
  EXPECT_EQ(parts.uses, whole.uses);
  EXPECT_EQ(parts.lengths, whole.lengths);
  EXPECT_EQ(parts.segment_a_tokens, whole.segment_a_tokens);
  EXPECT_EQ(whole.text_tokens(data.index()), text.documents.tokens());
  EXPECT_EQ(whole.examples(), data.examples());
  int64_t positions = 0;
  for (size_t length = 0; length < whole.lengths.size(); ++length) {
    positions += static_cast<int64_t>(length) * whole.lengths[length];
  }
  EXPECT_EQ(positions + whole.padding(data.index()), data.examples() * 32);
}

}  // namespace
}  // namespace funnel
