// SPDX-License-Identifier: Apache-2.0
// Oracle: files written here, and the documents a reader of them would name.
#include "data/text_documents.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/data/compressed_text.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

std::vector<std::string> documents_of(DocumentReader reader) {
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

std::vector<std::string> documents_of(const std::vector<std::filesystem::path>& inputs) {
  return documents_of(DocumentReader(text_files(inputs)));
}

// The texts of the documents of a file's pieces between the cuts, one list after the other.
std::vector<std::string> texts_of_pieces(const TextFile& file, const std::vector<int64_t>& cuts,
                                         TextOptions options = {}) {
  std::vector<std::string> texts;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    DocumentReader reader({TextPiece(file, cuts[i], cuts[i + 1])}, options);
    TextDocument document;
    while (reader.next(document)) texts.emplace_back(document.text());
  }
  return texts;
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

TEST(TextDocuments, JsonLines) {
  const testing::TemporaryFolder folder;
  const std::string lines = R"({"id": 1, "text": "one\ntwo\n \n\u00e9", "more": {"text": "no"}})"
                            "\n\n"
                            R"({"text": ""})"
                            "\r\n"
                            R"({"body": [1, 2], "text": "three"})";
  const auto file = folder.file("a.jsonl", lines);
  folder.file("b.txt", "last\n");
  EXPECT_EQ(documents_of({folder.path()}), (List{"a.jsonl:1=one;a.jsonl:1=two;a.jsonl:1=\u00e9;",
                                                 "a.jsonl:4=three;", "b.txt:1=last;"}));
  EXPECT_EQ(documents_of({folder.file("c.jsonl.gz", testing::gzip(lines))}).size(), 2u);
  TextFile memory{.path = "memory", .format = TextFormat::json_lines};
  EXPECT_EQ(documents_of(DocumentReader(memory, R"({"body": "x"})", {.text_field = "body"})),
            List{"memory:1=x;"});
}

TEST(TextDocuments, BadJsonLinesAreNamedOrCounted) {
  const testing::TemporaryFolder folder;
  const std::pair<std::string, std::string> bad[] = {
      {R"({"text": "open)", "invalid JSON"}, {R"({"text": "a"} x)", "invalid JSON"},
      {R"({"txt": "a"})", "field 'text'"},   {R"({"text": 7})", "expected a string"},
      {R"(["text"])", "JSON object"},        {"{\"text\": \"\xff\"}", "invalid JSON"},
      {"plain text", "invalid JSON"},        {R"({"text": null})", "expected a string"}};
  const std::string good = "{\"text\": \"fine\"}\n";
  std::string all;
  for (const auto& [line, fault] : bad) {
    const auto file = folder.file("bad.jsonl", good + good + line + "\n" + good);
    testing::expect_error(ExitCode::kUsage, {"bad.jsonl:3: ", fault},
                          [&] { documents_of({file}); });
    all += good + line + "\n";
  }
  DocumentReader reader(text_files({folder.file("all.jsonl", all)}), {.skip_bad = true});
  TextDocument document;
  int fine = 0;
  while (reader.next(document)) fine += document.line(0) == "fine";
  EXPECT_EQ(fine, 8);
  EXPECT_EQ(reader.bad_lines(), 8);
  EXPECT_NE(reader.first_bad_line().find("all.jsonl:2: "), std::string::npos);
}

// Random text in pieces cut anywhere, borders of documents and lines among them.
TEST(TextDocuments, PiecesHaveAllDocumentsOnce) {
  const testing::TemporaryFolder folder;
  std::mt19937 random(7);
  const auto pick = [&](std::initializer_list<const char*> list) {
    return *(list.begin() + random() % list.size());
  };
  for (int round = 0; round < 300; ++round) {
    const bool json = round % 2 == 1;
    std::string text;
    for (size_t i = random() % 40; i > 0; --i) {
      text +=
          json ? concat("{\"text\":\"", i, pick({"", "\\nx", "xyz"}), "\"}", pick({"\n", "\n\n"}))
               : concat(pick({"a", "", "bc", " ", "\t\r", "def"}), pick({"\n", "\n\n", "\n"}));
    }
    if (random() % 3 == 0 && !text.empty()) text.pop_back();
    const auto path = folder.file(json ? "a.jsonl" : "a.txt", text);
    const TextFile file = text_files({path}).front();
    const auto size = static_cast<int64_t>(text.size());
    const TextOptions options{.longest_document = round % 5 == 0 ? 4 : 1000};
    const List expected = texts_of_pieces(file, {0, size}, options);
    for (int cutting = 0; cutting < 10; ++cutting) {
      std::vector<int64_t> cuts{0, size};
      for (size_t i = random() % 6; i > 0; --i) cuts.push_back(random() % (size + 1));
      std::sort(cuts.begin(), cuts.end());
      ASSERT_EQ(texts_of_pieces(file, cuts, options), expected) << text;
    }
  }
}

TEST(TextDocuments, LinesOfPiecesCanBeCounted) {
  const testing::TemporaryFolder folder;
  std::string text;
  for (int i = 1; i <= 500; ++i) text += concat("line ", i, i % 3 == 0 ? "\n\n" : "\n");
  const TextFile file = text_files({folder.file("a.txt", text)}).front();
  for (int64_t begin = 0; begin < static_cast<int64_t>(text.size()); begin += 97) {
    DocumentReader reader({TextPiece(file, begin, begin + 97)});
    TextDocument document;
    while (reader.next(document)) {
      const int64_t number = std::stoll(std::string(document.line(0).substr(5)));
      reader.count_lines_before(document);
      // Every third line has an empty one behind it.
      EXPECT_EQ(document.place(0).line, number + (number - 1) / 3);
    }
  }
  std::string json;
  for (int i = 0; i < 500; ++i) json += "{\"text\": \"fine\"}\n";
  const auto size = static_cast<int64_t>(json.size());
  json += "{}\n";
  const TextFile bad = text_files({folder.file("bad.jsonl", json)}).front();
  DocumentReader reader({TextPiece(bad, size / 2, size + 3)});
  testing::expect_error(ExitCode::kUsage, {"bad.jsonl:501: "}, [&] {
    TextDocument document;
    while (reader.next(document)) continue;
  });
}

TEST(TextDocuments, LongDocumentsAreCut) {
  TextFile memory{.path = "m"};
  EXPECT_EQ(
      documents_of(DocumentReader(memory, "aaaa\nbb\ncc\ndddddd\n\ne\n", {.longest_document = 6})),
      (List{"m:1=aaaa;m:2=bb;", "m:3=cc;m:4=dddddd;", "m:6=e;"}));
}

TEST(TextDocuments, MissingInputs) {
  testing::expect_error(ExitCode::kUsage, {"/nowhere"}, [] {
    TextDocument document;
    DocumentReader(std::vector<TextFile>{{.path = "/nowhere"}}).next(document);
  });
  const testing::TemporaryFolder folder;
  const auto cut = folder.file("a.txt.gz", testing::gzip("one\n\ntwo\n").substr(0, 20));
  testing::expect_error(ExitCode::kUsage, {"a.txt.gz", "truncated"}, [&] { documents_of({cut}); });
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
