// SPDX-License-Identifier: Apache-2.0
// funnel-shard build on files of NVIDIA's and MLPerf's BERT examples. Oracle: the examples before
// they were masked, in the data set that the library then opens.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "data/data_set.h"
#include "data/durable_file.h"
#include "tests/data/bert_files.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

constexpr int64_t kSeq = 24, kRows = 500, kChunk = 32;

class FunnelShardImport : public ::testing::TestWithParam<bool> {
 protected:
  FunnelShardImport()
      : vocabulary_(testing::vocabulary_of_size(60)),
        content_(testing::masked_examples(vocabulary_, kRows, kSeq)) {
    folder_.file("vocab.txt", vocabulary_.text());
    testing::write_bert_file(folder_ / "a.hdf5", content_, GetParam());
    testing::write_bert_file(folder_ / "b.h5", content_, GetParam());
  }

  // The exit code; `said` is what it wrote.
  int build(const std::string& arguments, std::string& said) const {
    const std::string folder = folder_.path().string();
    const std::string command = concat("cd ", folder, " && ", FUNNEL_SHARD_PROGRAM,
                                       " build --vocab vocab.txt --output data", " --chunk-rows ",
                                       kChunk, " --shard-rows 100 ", arguments, " > said 2>&1");
    const int status = std::system(command.c_str());
    said = read_text_file(folder_ / "said");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  void expect_bad(const std::string& arguments, std::initializer_list<const char*> words) const {
    std::string said;
    EXPECT_EQ(build(arguments, said), 2) << said;
    for (const char* word : words) EXPECT_NE(said.find(word), std::string::npos) << said;
  }

  Vocabulary vocabulary_;
  testing::BertFile content_;
  testing::TemporaryFolder folder_;
};

TEST_P(FunnelShardImport, RowsBecomeExamples) {
  std::string said;
  ASSERT_EQ(build(concat("--seq-len ", kSeq + 3, " a.hdf5 b.h5"), said), 0) << said;
  const DataSet data = DataSet::open(folder_ / "data");
  EXPECT_EQ(data.index().packing, PackingMode::imported);
  EXPECT_EQ(data.index().shards.size(), 9u);  // 4 of each file, and the rests
  ASSERT_EQ(data.examples(), 2 * kRows);
  std::vector<int32_t> ids(kChunk * (kSeq + 3)), lengths(kChunk);
  std::vector<std::vector<int32_t>> found, expected;
  for (int64_t chunk = 0; chunk < data.chunks(); ++chunk) {
    const int64_t rows = data.rows_of(chunk);
    data.read_chunk(chunk, Tensor(ids.data(), {rows, kSeq + 3}, DType::i32),
                    Tensor(lengths.data(), {rows}, DType::i32));
    for (int64_t row = 0; row < rows; ++row) {
      const auto begin = ids.begin() + row * (kSeq + 3);
      found.emplace_back(begin, begin + kSeq + 3);
      found.back().push_back(lengths[static_cast<size_t>(row)]);
    }
  }
  for (const testing::BertRow& row : content_.originals) {
    std::vector<int32_t> padded = row.ids;
    padded.resize(kSeq + 3, vocabulary_.special().pad);
    padded.push_back(static_cast<int32_t>(row.segment_a_length));
    expected.insert(expected.end(), 2, padded);
  }
  // What is beyond whole chunks comes last, so the order is not that of the files.
  std::sort(found.begin(), found.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_TRUE(found == expected);
}

TEST_P(FunnelShardImport, WhatDoesNotFitIsNamed) {
  expect_bad(concat("--seq-len ", kSeq - 1, " a.hdf5"), {"a.hdf5", "--seq-len", "found 24"});
  expect_bad("--passes 2 a.hdf5", {"a.hdf5", "--passes"});
  folder_.file("text.txt", "some text\n");
  expect_bad("a.hdf5 text.txt", {"a.hdf5", "text.txt", "mixed"});
  // The vocabulary of another model.
  std::string pieces;
  for (int32_t id = 0; id < 60; ++id) {
    if (id != 7) pieces += vocabulary_.piece(id) + '\n';
  }
  folder_.file("vocab.txt", "first\n" + pieces);
  expect_bad("a.hdf5", {"a.hdf5", "row 0", "of the vocabulary"});
}

INSTANTIATE_TEST_SUITE_P(Layouts, FunnelShardImport, ::testing::Bool(), [](const auto& info) {
  return info.param ? std::string("Lists") : std::string("FixedLength");
});

}  // namespace
}  // namespace funnel
