// SPDX-License-Identifier: Apache-2.0
// Oracle: folders made here, and the files in them that a user would mean.
#include "data/text_files.h"

#include <gtest/gtest.h>

#include "tests/data/compressed_text.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

std::vector<std::string> names_of(const std::vector<TextFile>& files) {
  std::vector<std::string> names;
  for (const TextFile& file : files) names.push_back(file.path.filename().string());
  return names;
}

using List = std::vector<std::string>;

TEST(TextFiles, FoldersInTheOrderOfNames) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"c.jsonl", "b.txt", "a.txt.gz", "sub/z.ndjson.zst", "notes.md", "x.gz",
                           "d.json", "e.h5", "f.hdf5", "g.json.gz", "script.txt.sh"}) {
    folder.file(name, "x\n");
  }
  EXPECT_EQ(names_of(text_files({folder.path()})),
            (List{"a.txt.gz", "b.txt", "c.jsonl", "d.json", "e.h5", "f.hdf5", "g.json.gz",
                  "z.ndjson.zst"}));
}

TEST(TextFiles, PatternsAndOrderOfInputs) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"part-10.txt", "part-2.txt", "other.txt", "odd[1].txt"}) {
    folder.file(name, "x\n");
  }
  EXPECT_EQ(names_of(text_files({folder / "part-*.txt", folder / "other.txt"})),
            (List{"part-10.txt", "part-2.txt", "other.txt"}));
  EXPECT_EQ(names_of(text_files({folder / "other.txt", folder / "part-?.txt"})),
            (List{"other.txt", "part-2.txt"}));
  EXPECT_EQ(names_of(text_files({folder / "odd[1].txt"})), List{"odd[1].txt"});
}

TEST(TextFiles, FormatsByNameAndFirstBytes) {
  const testing::TemporaryFolder folder;
  const auto of = [&](const std::string& name, const std::string& content, bool all_json = false) {
    return text_files({folder.file(name, content)}, all_json).front();
  };
  const TextFile plain = of("a", "text");
  EXPECT_EQ(plain.format, TextFormat::plain);
  EXPECT_EQ(plain.compression, Compression::none);
  EXPECT_EQ(plain.bytes, 4);
  EXPECT_FALSE(plain.stream);
  EXPECT_EQ(of("b.jsonl", "{}").format, TextFormat::json_lines);
  EXPECT_EQ(of("c", "{}", true).format, TextFormat::json_lines);
  EXPECT_EQ(of("d", testing::gzip("x")).compression, Compression::gzip);
  EXPECT_EQ(of("e.ndjson.gz", testing::zstd("x")).compression, Compression::zstd);
  EXPECT_EQ(of("e.ndjson.gz", testing::zstd("x")).format, TextFormat::json_lines);
  EXPECT_EQ(of("f", "\x89HDF\r\n\x1a\n and more", true).format, TextFormat::hdf5);
  EXPECT_TRUE(text_files({"-"}).front().stream);
}

TEST(TextFiles, WhatIsMissingIsNamed) {
  const testing::TemporaryFolder folder;
  folder.file("notes.md", "x");
  testing::expect_error(ExitCode::kUsage, {"/nowhere", "no such"},
                        [] { text_files({"/nowhere"}); });
  testing::expect_error(ExitCode::kUsage, {folder.path().string(), "*.txt", "*.jsonl"},
                        [&] { text_files({folder.path()}); });
  testing::expect_error(ExitCode::kUsage, {"part-*", "no file matches"},
                        [&] { text_files({folder / "part-*"}); });
}

}  // namespace
}  // namespace funnel
