// SPDX-License-Identifier: Apache-2.0
// Small descriptions in text format. Oracle: texts written by hand.
#include "data/text_fields.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace funnel {
namespace {

TEST(TextFields, WritesAndReads) {
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  TextFieldWriter out;
  out.integer("step", 1000);
  out.natural("seed", 0xffffffffffffffffull);
  out.text("bytes", all_bytes);
  for (int i = 0; i < 2; ++i) {
    out.open("file");
    out.text("name", i == 0 ? "a \"quoted\" \\ name" : "");
    out.integer("extent", 3 * i);
    out.integer("extent", 4);
    out.close();
  }
  const TextFields fields = TextFields::parse(out.str(), "F");
  EXPECT_EQ(fields.integer("step"), 1000);
  EXPECT_EQ(fields.natural("seed"), 0xffffffffffffffffull);
  EXPECT_EQ(fields.text("bytes"), all_bytes);
  const std::vector<TextFields> files = fields.messages("file");
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].text("name"), "a \"quoted\" \\ name");
  EXPECT_EQ(files[1].text("name"), "");
  EXPECT_EQ(files[1].integers("extent"), (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(fields.integers("missing").empty());
  EXPECT_FALSE(fields.has("missing"));
}

TEST(TextFields, IsProtobufTextFormat) {
  TextFieldWriter out;
  out.open("a");
  out.text("b", "x\ty\n\x01é");
  out.close();
  EXPECT_EQ(out.str(), "a {\n  b: \"x\\011y\\n\\001é\"\n}\n");
  const TextFields fields =
      TextFields::parse("# a comment\n\na {\n\n  # more\n  b: \"\\t\"\n}\n", "F");
  EXPECT_EQ(fields.messages("a")[0].text("b"), "\t");
}

std::string refusal(const std::string& text) {
  try {
    const TextFields fields = TextFields::parse(text, "F");
    fields.allow_only({"number", "text", "message"});
    fields.integer("number");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(TextFields, NamesWhatIsWrong) {
  EXPECT_EQ(refusal("number: 1\n"), "accepted");
  EXPECT_EQ(refusal(""), "F:1: field number: expected once, found 0 times");
  EXPECT_EQ(refusal("number: 1\nnumber: 1\n"), "F:1: field number: expected once, found 2 times");
  EXPECT_EQ(refusal("number: 1\nnum: 1\n"), "F:2: unknown field num");
  EXPECT_EQ(refusal("number: \"1\"\n"),
            "F:1: field number: expected a number, found a quoted text");
  EXPECT_EQ(refusal("number: 1"), "F:1: expected a line break at the end, found number: 1");
  EXPECT_EQ(refusal("number: 9223372036854775808\n"),
            "F:1: field number: expected at most 9223372036854775807, found 9223372036854775808");
  for (const char* line :
       {"number: -1", "number: 1x", "number: ", "number: 18446744073709551616"}) {
    EXPECT_EQ(refusal(concat(line, "\n")), concat("F:1: expected a number, found ", line));
  }
  for (const char* quoted : {"\"", "\"a", "\"a\" ", "\"a\"b\""}) {
    EXPECT_EQ(refusal(concat("text: ", quoted, "\n")),
              concat("F:1: expected a text in quotes, found ", quoted));
  }
  EXPECT_EQ(refusal("text: \"\\q\"\n"), "F:1: expected an escape, found q\"");
  EXPECT_EQ(refusal("text: \"\\40\"\n"), "F:1: expected an escape, found 40\"");
  EXPECT_EQ(refusal("text: \"\\777\"\n"), "F:1: expected an escape, found 777");
  EXPECT_EQ(refusal("text: \"\\"), "F:1: expected a line break at the end, found text: \"\\");
  EXPECT_EQ(refusal("text: \"\\\n"), "F:1: expected an escape, found ");
  EXPECT_EQ(refusal("number=1\n"),
            "F:1: expected ': ' or ' {' after the field's name, found number=1");
  EXPECT_EQ(refusal(": 1\n"), "F:1: expected a field's name, found : 1");
  EXPECT_EQ(refusal("}\n"), "F:1: expected a field, found }");
  EXPECT_EQ(refusal("message {\n"), "F:1: expected '}', found the end");
  std::string deep;
  for (int i = 0; i < 9; ++i) deep += "message {\n";
  EXPECT_EQ(refusal(deep), "F:9: expected no deeper message, found message {");
}

TEST(TextFieldWriter, RefusesMisuse) {
  TextFieldWriter out;
  EXPECT_THROW(out.integer("a b", 1), Error);
  EXPECT_THROW(out.integer("a", -1), Error);
  EXPECT_THROW(out.close(), Error);
}

}  // namespace
}  // namespace funnel
