// SPDX-License-Identifier: Apache-2.0
// Oracle: the HDF5 library, which reads the same rows and computes the same checksums.
#include "data/h5_rows.h"

#include <gtest/gtest.h>

#include <random>

#include "data/durable_file.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

struct Numbers {
  Numbers(int64_t rows, int64_t columns, int32_t low, int32_t high, uint32_t seed)
      : values(static_cast<size_t>(rows * columns)),
        tensor(values.data(), columns == 1 ? Shape{rows} : Shape{rows, columns}, DType::i32) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int32_t> draw(low, high);
    for (int32_t& value : values) value = draw(random);
  }
  std::vector<int32_t> values;
  Tensor tensor;
};

TEST(H5Rows, ReadsWhatTheLibraryReads) {
  const testing::TemporaryFolder folder;
  for (const auto& [rows, columns, chunk_rows] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                                  {37, 5, 8},
                                                  {64, 3, 16},
                                                  {5, 1, 100},
                                                  {1000, 1, 64},
                                                  {9, 700, 4}}) {
    for (const bool small : {true, false}) {
      const Numbers wide(rows, columns, small ? 0 : INT32_MIN, small ? 65535 : INT32_MAX, 1);
      H5File made = H5File::create_image("made");
      made.write("x", wide.tensor, {.chunk_rows = chunk_rows, .as_uint16 = small});
      const std::filesystem::path path = folder / "x.h5";
      write_durably(path, made.image());
      const H5File file = H5File::open(path);
      const H5Rows reader(file, {"x"});
      EXPECT_TRUE(reader.damage().empty());
      for (int64_t first = 0; first < rows; first += std::max<int64_t>(1, rows / 7)) {
        const int64_t count = std::min(rows - first, 1 + first % 11);
        Numbers ours(count, columns, 0, 0, 0), theirs(count, columns, 0, 0, 0);
        reader.read_rows("x", first, ours.tensor);
        file.read_rows("x", first, theirs.tensor);
        EXPECT_EQ(ours.values, theirs.values);
      }
    }
  }
}

// Checksums of all-zero, all-one and odd data: those that the folding of carries gets wrong first.
TEST(H5Rows, ChecksumsOfSpecialContent) {
  const testing::TemporaryFolder folder;
  for (const int32_t value : {0, 65535, 255, 65280, 1}) {
    for (const int64_t rows : {1, 2, 359, 360, 361, 70000}) {
      const Numbers same(rows, 1, value, value, 0);
      H5File made = H5File::create_image("made");
      made.write("x", same.tensor, {.chunk_rows = rows, .as_uint16 = true});
      write_durably(folder / "x.h5", made.image());
      EXPECT_TRUE(H5Rows(H5File::open(folder / "x.h5"), {"x"}).damage().empty())
          << value << " x " << rows;
    }
  }
}

TEST(H5Rows, EveryFlippedBitOfAChunkIsFound) {
  const testing::TemporaryFolder folder;
  const Numbers numbers(12, 6, 0, 65535, 3);
  H5File made = H5File::create_image("made");
  made.write("x", numbers.tensor, {.chunk_rows = 4, .as_uint16 = true});
  const std::vector<char> sound = made.image();
  write_durably(folder / "x.h5", sound);
  const H5Rows reader(H5File::open(folder / "x.h5"), {"x"});
  const H5ChunkTable table = H5File::open(folder / "x.h5").chunk_table("x");
  ASSERT_EQ(table.offsets.size(), 3u);
  for (int64_t byte = 0; byte < table.chunk_bytes() + 4; ++byte) {
    std::vector<char> damaged = sound;
    damaged[table.offsets[1] + byte] ^= static_cast<char>(1 << byte % 8);
    write_durably(folder / "x.h5", damaged);
    const std::vector<DamagedRows> found = reader.damage();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].dataset, "x");
    EXPECT_EQ(found[0].first, 4);
    EXPECT_EQ(found[0].rows, 4);
    Numbers rows(2, 6, 0, 0, 0);
    reader.read_rows("x", 8, rows.tensor);
    testing::expect_error(ExitCode::kUsage, {"x.h5: dataset 'x', rows 4 to 7", "checksum"},
                          [&] { reader.read_rows("x", 6, rows.tensor); });
  }
}

TEST(H5Rows, OtherLayoutsAreRefused) {
  const testing::TemporaryFolder folder;
  H5File made = H5File::create_image("made");
  const std::vector<float> floats(8);
  made.write("floats", ConstTensor(floats.data(), {8}, DType::f32));
  const std::vector<int32_t> none;
  made.write("empty", ConstTensor(none.data(), {0, 4}, DType::i32));
  write_durably(folder / "x.h5", made.image());
  const H5File file = H5File::open(folder / "x.h5");
  for (const char* dataset : {"floats", "empty"}) {
    testing::expect_error(ExitCode::kUsage, {"x.h5", dataset, "fletcher32"},
                          [&] { H5Rows(file, {dataset}); });
  }
  testing::expect_error(ExitCode::kUsage, {"x.h5", "missing"}, [&] { H5Rows(file, {"missing"}); });
}

}  // namespace
}  // namespace funnel
