// SPDX-License-Identifier: Apache-2.0
// Small descriptions in files (a checkpoint's manifest, the index of a data folder), written and
// read strictly in a subset of protobuf's text format, one field a line:
//     step: 1000
//     run_id: "4f0c"
//     file {
//       bytes: 4096
//     }
// Fields keep their order and may repeat. Lines that start with '#' are comments.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace funnel {

// One message: fields by name. All errors are input errors (exit code 2) that name the source, the
// line, the field, what was expected and what was found.
class TextFields {
 public:
  // Parses a whole text; `source` names it in errors, usually the file's path.
  static TextFields parse(std::string_view text, const std::string& source);

  // Throws if a field has any other name.
  void allow_only(std::initializer_list<std::string_view> names) const;

  bool has(std::string_view name) const;

  // The value of a field that must be there exactly once.
  int64_t integer(std::string_view name) const;  // of [0, 2^63)
  uint64_t natural(std::string_view name) const;
  std::string text(std::string_view name) const;

  // The values of a field that may be missing or repeated, in the order of the file.
  std::vector<int64_t> integers(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  std::vector<TextFields> messages(std::string_view name) const;

  int line() const { return line_; }  // where the message begins, from 1
  const std::string& source() const { return source_; }

 private:
  friend class TextFieldsParser;
  enum class Kind { number, text, message };
  struct Field {
    std::string name;
    Kind kind;
    int line;
    uint64_t number;
    std::string text;
    size_t message;  // index into messages_
  };
  std::vector<const Field*> all(std::string_view name, Kind kind) const;
  const Field& only(std::string_view name, Kind kind) const;
  int64_t as_integer(const Field& field) const;

  std::string source_;
  int line_ = 1;
  std::vector<Field> fields_;
  std::vector<TextFields> messages_;
};

// Writes what TextFields reads. Names are given by the program: letters, digits, underscores.
class TextFieldWriter {
 public:
  void integer(std::string_view name, int64_t value);  // value >= 0
  void natural(std::string_view name, uint64_t value);
  void text(std::string_view name, std::string_view value);  // any bytes
  void open(std::string_view name);
  void close();

  const std::string& str() const { return out_; }

 private:
  void start(std::string_view name);

  std::string out_;
  int depth_ = 0;
};

}  // namespace funnel
