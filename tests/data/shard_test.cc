// SPDX-License-Identifier: Apache-2.0
// Oracle: rows whose content follows from their number; damage done here, and the message that must
// name it.
#include "data/shard.h"

#include <gtest/gtest.h>

#include <fstream>

#include "data/data_set.h"
#include "data/digest.h"
#include "data/durable_file.h"
#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

void replace(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  std::string text = read_text_file(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  std::ofstream(path, std::ios::binary) << text;
}

struct Chunk {
  explicit Chunk(const DataSet& data, int64_t chunk)
      : ids(data.rows_of(chunk) * data.seq_len()), lengths(data.rows_of(chunk)) {
    const int64_t rows = data.rows_of(chunk);
    data.read_chunk(chunk, Tensor(ids.data(), {rows, data.seq_len()}, DType::i32),
                    Tensor(lengths.data(), {rows}, DType::i32));
  }
  std::vector<int32_t> ids, lengths;
};

TEST(Index, TextRoundTrip) {
  DataIndex index = testing::index_for(testing::vocabulary_of_size(50), 16, 4);
  index.source = "a \"quoted\" name\nand more";
  index.seed = 0xffffffffffffffffull;
  index.tokenizer = {.lower_case = false, .strip_accents = true, .max_word_chars = 7};
  index.passes = 3;
  index.packing = PackingMode::electra;
  index.tokens = 99;
  index.examples = 11;
  index.shards = {{"a.h5", 8, 100, "00"}, {"b.h5", 3, 50, "ff"}};
  EXPECT_EQ(parse_data_index(to_text(index), "index"), index);
}

TEST(Index, ErrorsNameTheField) {
  DataIndex index = testing::index_for(testing::vocabulary_of_size(50), 16, 4);
  index.examples = 11;
  index.shards = {{"a.h5", 8, 100, "00"}, {"b.h5", 3, 50, "ff"}};
  const auto expect = [&](const std::string& from, const std::string& to,
                          std::initializer_list<std::string> parts) {
    std::string text = to_text(index);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
    testing::expect_error(ExitCode::kUsage, parts, [&] { parse_data_index(text, "index"); });
  };
  expect("format_version: 2", "format_version: 1", {"index", "format_version", "found 1"});
  expect("strip_accents: 1", "strip_accents: 2", {"index", "strip_accents", "found 2"});
  expect("  strip_accents: 1\n", "", {"index", "strip_accents"});
  expect("seq_len: 16", "seq_len: 4", {"index", "seq_len", "found 4"});
  expect("seq_len: 16\n", "", {"index", "seq_len"});
  expect("seq_len: 16", "length: 16", {"index", "length"});
  expect("examples: 11", "examples: 12", {"index", "examples", "expected 11", "found 12"});
  expect("rows: 8", "rows: 7", {"a.h5", "chunk_rows", "found 7"});
  expect("\"a.h5\"", "\"../a.h5\"", {"file", "../a.h5"});
  expect("pad: 0", "pad: 50", {"pad", "0 to 49", "found 50"});
  expect("tokenizer {", "tokeniser {", {"tokeniser"});
}

TEST(Shards, RoundTripOverSeveralShards) {
  for (const int64_t examples : {1, 4, 5, 8, 21}) {
    const testing::TemporaryFolder folder;
    testing::write_numbered_data(folder.path(), examples, 16, 50, 4, 7);
    const DataSet data = DataSet::open(folder.path());
    EXPECT_EQ(data.examples(), examples);
    // Seven rows round up to two chunks.
    EXPECT_EQ(static_cast<int64_t>(data.index().shards.size()), (examples + 7) / 8);
    int64_t row = 0;
    for (int64_t chunk = 0; chunk < data.chunks(); ++chunk) {
      const Chunk read(data, chunk);
      for (size_t i = 0; i < read.lengths.size(); ++i, ++row) {
        EXPECT_EQ(read.lengths[i], 1 + row % 12);
        for (int64_t j = 0; j < 16; ++j) {
          const int64_t expected = j == 0                                ? 2
                                   : j == read.lengths[i] + 1 || j == 15 ? 3
                                                                         : 5 + (row + j) % 45;
          EXPECT_EQ(read.ids[i * 16 + j], expected);
        }
      }
    }
    EXPECT_EQ(row, examples);
  }
}

TEST(Shards, LargeVocabulariesTake32Bits) {
  const testing::TemporaryFolder folder;
  testing::write_numbered_data(folder.path(), 70000, 8, 70000, 16384, 70000);
  const DataSet data = DataSet::open(folder.path());
  const Chunk last(data, data.chunks() - 1);
  EXPECT_GT(*std::max_element(last.ids.begin(), last.ids.end()), 65536);
}

TEST(Shards, ASmallShardTellsWhatItHolds) {
  const testing::TemporaryFolder folder;
  testing::write_numbered_data(folder.path(), 3, 16, 50, 4, 4);
  const H5File file = H5File::open(folder / "shard-00000.h5");
  EXPECT_EQ(file.int_attribute("format_version"), 2);
  EXPECT_EQ(file.int_attribute("seq_len"), 16);
  EXPECT_EQ(file.int_attribute("vocab"), 50);
  EXPECT_EQ(file.int_attribute("cls"), 2);
  EXPECT_EQ(file.int_attribute("tokens"), 48);
  EXPECT_EQ(file.string_attribute("packing"), "segment_pairs");
  EXPECT_EQ(file.string_attribute("source"), "made by a test");
  EXPECT_EQ(file.string_attribute("vocab_sha256"), sha256(read_file(folder / kVocabularyFile)));
  EXPECT_EQ(read_data_index(folder.path()).shards[0].sha256,
            sha256_of_file(folder / "shard-00000.h5"));
}

class Damage : public ::testing::Test {
 protected:
  Damage() { testing::write_numbered_data(folder_.path(), 20, 16, 50, 4, 8); }

  void expect_open_error(std::initializer_list<std::string> parts) {
    testing::expect_error(ExitCode::kUsage, parts, [&] { DataSet::open(folder_.path()); });
  }

  testing::TemporaryFolder folder_;
  const std::filesystem::path shard_ = folder_ / "shard-00001.h5";
};

TEST_F(Damage, MissingShard) {
  std::filesystem::remove(shard_);
  expect_open_error({"shard-00001.h5", "No such file"});
}

TEST_F(Damage, TruncatedShard) {
  const auto bytes = std::filesystem::file_size(shard_);
  std::filesystem::resize_file(shard_, bytes - 1);
  expect_open_error({"shard-00001.h5", concat("expected ", bytes), concat("found ", bytes - 1)});
}

TEST_F(Damage, MissingIndexOrFolder) {
  std::filesystem::remove(folder_ / kIndexFile);
  expect_open_error({"index.textproto", "incomplete"});
  testing::expect_error(ExitCode::kUsage, {"/nowhere"}, [] { DataSet::open("/nowhere"); });
}

TEST_F(Damage, OtherVocabulary) {
  replace(folder_ / kVocabularyFile, "piece7", "pieceX");
  expect_open_error({"vocab.txt", "SHA-256"});
}

TEST_F(Damage, ShardOfAnotherDataSet) {
  const testing::TemporaryFolder other;
  testing::write_numbered_data(other.path(), 20, 20, 50, 4, 8);
  const std::vector<char> foreign = read_file(other / "shard-00001.h5");
  const auto bytes = std::filesystem::file_size(shard_);
  write_durably(shard_, foreign);
  // Its own size is not that of the index; when the index is made to fit, the attributes tell.
  if (foreign.size() != bytes) {
    std::string text = read_text_file(folder_ / kIndexFile);
    const size_t at = text.find(concat("bytes: ", bytes), text.find("shard-00001"));
    text.replace(at, concat("bytes: ", bytes).size(), concat("bytes: ", foreign.size()));
    write_durably(folder_ / kIndexFile, text);
  }
  expect_open_error({"shard-00001.h5", "'seq_len'", "expected 16", "found 20"});
}

TEST_F(Damage, FlippedBitIsFoundWhenTheChunkIsRead) {
  const DataSet data = DataSet::open(folder_.path());
  std::vector<char> bytes = read_file(shard_);
  // The ids of row 8 are stored as 16-bit numbers: 13 + 1, 13 + 2, ... after <cls>.
  const std::string row{"\x02\x00\x0e\x00\x0f\x00\x10\x00", 8};
  const auto at = std::search(bytes.begin(), bytes.end(), row.begin(), row.end());
  ASSERT_NE(at, bytes.end());
  at[2] ^= 1;
  write_durably(shard_, bytes);
  testing::expect_error(ExitCode::kNeedsHuman, {"shard-00001.h5", "input_ids"},
                        [&] { Chunk(data, 2); });
  Chunk(data, 0);
}

TEST_F(Damage, ShardThatVanishesMidRun) {
  const DataSet data = DataSet::open(folder_.path());
  std::filesystem::remove(shard_);
  testing::expect_error(ExitCode::kNeedsHuman, {"shard-00001.h5"}, [&] { Chunk(data, 2); });
}

TEST_F(Damage, IdsBeyondTheVocabularyAreNamed) {
  DataIndex index = read_data_index(folder_.path());
  std::vector<int32_t> ids(8 * 16, 7), lengths(8, 3);
  ids[5 * 16 + 2] = 50;
  const std::vector<char> image =
      shard_image("bad", index, ConstTensor(ids.data(), {8, 16}, DType::i32),
                  ConstTensor(lengths.data(), {8}, DType::i32));
  write_durably(shard_, image);
  index.shards[1].bytes = static_cast<int64_t>(image.size());
  write_durably(folder_ / kIndexFile, to_text(index));
  const DataSet data = DataSet::open(folder_.path());
  Chunk(data, 2);
  testing::expect_error(ExitCode::kNeedsHuman,
                        {"shard-00001.h5", "input_ids", "row 5", "below 50", "found 50"},
                        [&] { Chunk(data, 3); });
}

TEST_F(Damage, ImpossibleSegmentsAreNamed) {
  DataIndex index = read_data_index(folder_.path());
  std::vector<int32_t> ids(8 * 16, 7), lengths(8, 3);
  lengths[1] = 13;
  const std::vector<char> image =
      shard_image("bad", index, ConstTensor(ids.data(), {8, 16}, DType::i32),
                  ConstTensor(lengths.data(), {8}, DType::i32));
  write_durably(shard_, image);
  index.shards[1].bytes = static_cast<int64_t>(image.size());
  write_durably(folder_ / kIndexFile, to_text(index));
  const DataSet data = DataSet::open(folder_.path());
  testing::expect_error(ExitCode::kNeedsHuman,
                        {"shard-00001.h5", "segment_a_length", "row 1", "1 to 12", "found 13"},
                        [&] { Chunk(data, 2); });
}

TEST(ShardWriter, Errors) {
  const testing::TemporaryFolder folder;
  testing::write_numbered_data(folder.path(), 3, 16, 50, 4, 4);
  testing::expect_error(ExitCode::kUsage, {folder.path().string(), "already holds"},
                        [&] { testing::write_numbered_data(folder.path(), 3, 16, 50, 4, 4); });
  testing::expect_error(ExitCode::kUsage, {"too short", "16"},
                        [&] { testing::write_numbered_data(folder / "sub", 0, 16, 50, 4, 4); });
  const std::filesystem::path file = folder.file("file", "x");
  testing::expect_error(ExitCode::kUsage, {file.string(), "cannot make this folder"},
                        [&] { testing::write_numbered_data(file, 3, 16, 50, 4, 4); });
}

}  // namespace
}  // namespace funnel
