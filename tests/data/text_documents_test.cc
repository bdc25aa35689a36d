// SPDX-License-Identifier: Apache-2.0
// Oracle: files written here, and the documents a reader of them would name.
#include "data/text_documents.h"

#include <gtest/gtest.h>

#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

std::vector<std::string> documents_of(const std::vector<std::filesystem::path>& inputs) {
  DocumentReader reader(text_files(inputs));
  TextDocument document;
  std::vector<std::string> documents;
  while (reader.next(document)) {
    std::string text;
    for (int64_t i = 0; i < document.lines(); ++i) {
      const TextPlace place = document.place(i);
      text += concat(std::filesystem::path(place.file).filename().string(), ":", place.line, "=",
                     document.line(i), ";");
    }
    documents.push_back(text);
  }
  return documents;
}

using List = std::vector<std::string>;

TEST(TextDocuments, BlankLinesAndFileEndsSeparate) {
  const testing::TemporaryFolder folder;
  folder.file("b.txt", "\n\none\ntwo\n \t\r\nthree");
  folder.file("a.txt", "first\n\n\n");
  folder.file("sub/c.txt", "deep\n");
  folder.file("notes.md", "not text\n");
  folder.file("empty.txt", "");
  EXPECT_EQ(documents_of({folder.path()}), (List{"a.txt:1=first;", "b.txt:3=one;b.txt:4=two;",
                                                 "b.txt:6=three;", "c.txt:1=deep;"}));
  EXPECT_EQ(documents_of({folder / "sub", folder / "a.txt"}),
            (List{"c.txt:1=deep;", "a.txt:1=first;"}));
}

TEST(TextDocuments, MissingInputs) {
  const testing::TemporaryFolder folder;
  testing::expect_error(ExitCode::kUsage, {"/nowhere"}, [] { text_files({"/nowhere"}); });
  testing::expect_error(ExitCode::kUsage, {folder.path().string(), "*.txt"},
                        [&] { text_files({folder.path()}); });
}

TEST(TextDocuments, HashDependsOnTheTextAlone) {
  const testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += concat("document ", i, "\n\n");
  folder.file("a.txt", text);
  folder.file("b.txt", "\n\n" + text);
  DocumentReader a(text_files({folder / "a.txt"})), b(text_files({folder / "b.txt"}));
  TextDocument left, right;
  int below = 0;
  while (a.next(left)) {
    ASSERT_TRUE(b.next(right));
    EXPECT_EQ(left.hash01(), right.hash01());
    below += left.hash01() < 0.1;
  }
  // 2000 draws of probability 0.1: 200 expected, standard deviation 13.4.
  EXPECT_NEAR(below, 200, 60);
}

}  // namespace
}  // namespace funnel
