// SPDX-License-Identifier: Apache-2.0
// Files in the layouts of NVIDIA's and MLPerf's BERT examples, written here with HDF5's own library
// as their programs do. Oracle: the sentences that were masked.
#include "data/bert_examples.h"

#include <gtest/gtest.h>

#include "tests/data/bert_files.h"
#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

using testing::BertFile;
using testing::BertRow;

constexpr int64_t kVocab = 60;

class BertExamples : public ::testing::TestWithParam<bool> {
 protected:
  BertExamples() : vocabulary_(testing::vocabulary_of_size(kVocab)) {}

  std::filesystem::path write(const BertFile& content) {
    const auto path = folder_ / "examples.hdf5";
    std::filesystem::remove(path);
    testing::write_bert_file(path, content, GetParam());
    return path;
  }

  // What is read back: the ids, and A's length.
  std::vector<BertRow> read(const BertFile& content) {
    BertExampleReader reader(write(content), vocabulary_);
    std::vector<BertRow> rows;
    BertExample example;
    while (reader.next(example)) {
      rows.push_back({{example.ids.begin(), example.ids.end()}, example.segment_a_length});
    }
    EXPECT_EQ(static_cast<int64_t>(rows.size()), reader.rows());
    return rows;
  }

  void expect_bad(const BertFile& content, std::initializer_list<std::string> words) {
    testing::expect_error(ExitCode::kUsage, words, [&] { read(content); });
  }

  Vocabulary vocabulary_;
  testing::TemporaryFolder folder_;
};

TEST_P(BertExamples, MaskingIsUndoneAndPaddingDropped) {
  // More rows than are read at once.
  const BertFile content = testing::masked_examples(vocabulary_, 2500, 24);
  const std::vector<BertRow> rows = read(content);
  ASSERT_EQ(rows.size(), content.originals.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].ids, content.originals[i].ids) << i;
    ASSERT_EQ(rows[i].segment_a_length, content.originals[i].segment_a_length) << i;
  }
  BertExampleReader reader(write(content), vocabulary_);
  BertExample example;
  for (const int64_t row : {2000, 3, 2499, 0}) {
    reader.seek(row);
    ASSERT_TRUE(reader.next(example));
    EXPECT_EQ(std::vector<int32_t>(example.ids.begin(), example.ids.end()),
              content.originals[static_cast<size_t>(row)].ids);
  }
}

TEST_P(BertExamples, StrangeRowsAreNamed) {
  BertFile sound = testing::masked_examples(vocabulary_, 30, 24);
  // Every position but the first is as it was; that one is masked.
  sound.ids[7] = sound.originals[7].ids;
  sound.masked_positions[7] = {1};
  sound.masked_ids[7] = {sound.ids[7][1]};
  const auto changed = [&](auto&& change) {
    BertFile content = sound;
    change(content);
    return content;
  };
  const std::string row = "row 7";
  expect_bad(changed([](BertFile& file) { file.ids[7][2] = kVocab; }),
             {"examples.hdf5", "input_ids", row, "vocabulary"});
  expect_bad(changed([](BertFile& file) { file.ids[7][0] = 9; }), {row, "[CLS]", "found 9"});
  expect_bad(changed([](BertFile& file) { file.segments[7][1] = 1; }), {"segment_ids", row});
  expect_bad(changed([](BertFile& file) { file.masked_positions[7][0] = 200; }),
             {"masked_lm_positions", row, "found 200"});
  expect_bad(changed([&](BertFile& file) {
               file.masked_positions[7].clear();
               file.masked_ids[7].clear();
               file.ids[7][1] = vocabulary_.special().mask;
             }),
             {"input_ids", row, "masked"});
  if (!GetParam()) {
    expect_bad(changed([](BertFile& file) { file.mask[7][1] = 0; }), {"input_mask", row});
  }
}

TEST_P(BertExamples, MissingDatasetsAreNamed) {
  for (const char* name : {"input_ids", "segment_ids", "masked_lm_ids"}) {
    BertFile content = testing::masked_examples(vocabulary_, 3, 24);
    content.left_out = name;
    expect_bad(content, {"examples.hdf5", name});
  }
  testing::expect_error(ExitCode::kUsage, {"not.hdf5"},
                        [&] { BertExampleReader(folder_.file("not.hdf5", "text"), vocabulary_); });
}

INSTANTIATE_TEST_SUITE_P(Layouts, BertExamples, ::testing::Bool(), [](const auto& info) {
  return info.param ? std::string("Lists") : std::string("FixedLength");
});

}  // namespace
}  // namespace funnel
