// SPDX-License-Identifier: Apache-2.0
// Oracle: the text that zlib's and zstd's own writers compressed.
#include "data/byte_source.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/data/compressed_text.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

std::string read_all(ByteSource& source, size_t piece) {
  std::string all, buffer(piece, '\0');
  while (const size_t got = source.read(buffer)) all.append(buffer, 0, got);
  return all;
}

std::string unpacked(const std::string& bytes, size_t piece = 1 << 16) {
  return read_all(*ByteSource::of_bytes(bytes, "memory"), piece);
}

// Some of it compresses well, some does not.
std::string some_text(size_t size) {
  std::mt19937 random(3);
  std::string text;
  while (text.size() < size) {
    text += random() % 3 == 0 ? std::string(random() % 500, 'x') : std::to_string(random());
  }
  text.resize(size);
  return text;
}

TEST(ByteSource, FindsTheCompression) {
  for (const size_t size : {0u, 1u, 3u, 4u, 5u, 1000u, 400'000u, 3'000'000u}) {
    const std::string text = some_text(size);
    for (const size_t piece : {1u, 7u, 65536u}) {
      if (size > 10'000 && piece == 1) continue;
      EXPECT_TRUE(unpacked(text, piece) == text) << size;
      EXPECT_TRUE(unpacked(testing::gzip(text), piece) == text) << size;
      EXPECT_TRUE(unpacked(testing::zstd(text), piece) == text) << size;
    }
  }
}

TEST(ByteSource, MembersAndFramesAreOneText) {
  const std::string one = some_text(5000), two = "two", none;
  using testing::gzip, testing::zstd;
  EXPECT_EQ(unpacked(gzip(one) + gzip(none) + gzip(two)), one + two);
  EXPECT_EQ(unpacked(zstd(one) + zstd(none) + zstd(two)), one + two);
}

TEST(ByteSource, FilesAndPlaces) {
  const testing::TemporaryFolder folder;
  const std::string text = some_text(100'000);
  const auto plain = folder.file("a", text), packed = folder.file("b", testing::gzip(text));
  EXPECT_EQ(read_all(*ByteSource::open(plain), 999), text);
  EXPECT_EQ(read_all(*ByteSource::open(plain, 12345), 999), text.substr(12345));
  const auto source = ByteSource::open(packed);
  EXPECT_EQ(read_all(*source, 999), text);
  EXPECT_EQ(source->taken(), static_cast<int64_t>(std::filesystem::file_size(packed)));
  EXPECT_EQ(first_bytes(plain, 5), text.substr(0, 5));
  testing::expect_error(ExitCode::kUsage, {"/nowhere", "cannot open"},
                        [] { ByteSource::open("/nowhere"); });
  testing::expect_error(ExitCode::kUsage, {folder.path().string(), "cannot read"},
                        [&] { ByteSource::open(folder.path()); });
}

// A stream cut anywhere behind the bytes that tell its format.
TEST(ByteSource, NamesTruncation) {
  const std::string text = some_text(3000);
  for (const auto& [packed, name] : {std::pair(testing::gzip(text), "truncated gzip"),
                                     std::pair(testing::zstd(text), "truncated zstd")}) {
    for (size_t size = 4; size < packed.size(); ++size) {
      testing::expect_error(ExitCode::kUsage, {"memory", name},
                            [&, bytes = packed] { unpacked(bytes.substr(0, size)); });
    }
  }
}

// A damaged stream is never taken for sound.
TEST(ByteSource, NamesDamage) {
  const std::string text = some_text(3000);
  std::mt19937 random(4);
  int named = 0, tried = 0;
  for (const std::string& packed : {testing::gzip(text), testing::zstd(text)}) {
    for (size_t i = 10; i < packed.size(); i += 7) {
      std::string damaged = packed;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << random() % 8));
      ++tried;
      try {
        EXPECT_EQ(unpacked(damaged), text) << i;
      } catch (const Error& error) {
        EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
        ++named;
      }
    }
    testing::expect_error(ExitCode::kUsage, {"memory", "damaged"},
                          [&, bytes = packed] { unpacked(bytes + "garbage at the end"); });
  }
  // A few bits of a header (the name of a system, a window's size) mean nothing for the text.
  EXPECT_GT(named, tried * 9 / 10);
}

}  // namespace
}  // namespace funnel
