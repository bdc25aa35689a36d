// SPDX-License-Identifier: Apache-2.0
#include "data/text_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/base/error.h"

namespace funnel {
namespace {

constexpr int kMaxDepth = 8;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char* name_of_kind(int kind) {
  static constexpr const char* kNames[] = {"a number", "a quoted text", "a message in braces"};
  return kNames[kind];
}

}  // namespace

class TextFieldsParser {
 public:
  TextFieldsParser(std::string_view text, const std::string& source)
      : rest_(text), source_(source) {}

  TextFields message(int depth) {
    TextFields result;
    result.source_ = source_;
    result.line_ = std::max(line_, 1);
    std::string_view line;
    while (next_line(line)) {
      if (line == "}") {
        if (depth == 0) fail("a field", line);
        return result;
      }
      field(line, depth, result);
    }
    if (depth > 0) fail("'}'", "the end");
    return result;
  }

 private:
  // The next line that says something, without its indentation.
  bool next_line(std::string_view& line) {
    while (!rest_.empty()) {
      ++line_;
      const size_t end = rest_.find('\n');
      if (end == std::string_view::npos) fail("a line break at the end", rest_);
      line = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      if (!line.empty() && line[0] != '#') return true;
    }
    return false;
  }

  void field(std::string_view line, int depth, TextFields& into) {
    size_t length = 0;
    while (length < line.size() && is_name_char(line[length])) ++length;
    const std::string_view value = line.substr(length);
    TextFields::Field field{
        std::string(line.substr(0, length)), TextFields::Kind::number, line_, 0, {}, 0};
    if (length == 0) fail("a field's name", line);
    if (value == " {") {
      if (depth == kMaxDepth) fail("no deeper message", line);
      field.kind = TextFields::Kind::message;
      field.message = into.messages_.size();
      into.messages_.push_back(message(depth + 1));
    } else if (value.starts_with(": \"")) {
      field.kind = TextFields::Kind::text;
      field.text = unquote(value.substr(2));
    } else if (value.starts_with(": ")) {
      const std::string_view digits = value.substr(2);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), field.number);
      if (error != std::errc() || end != digits.data() + digits.size()) fail("a number", line);
    } else {
      fail("': ' or ' {' after the field's name", line);
    }
    into.fields_.push_back(std::move(field));
  }

  std::string unquote(std::string_view quoted) {
    std::string out;
    size_t at = 1;
    while (at < quoted.size() && quoted[at] != '"') {
      if (quoted[at] != '\\') {
        out += quoted[at++];
        continue;
      }
      at += unescape(quoted.substr(at + 1), out) + 1;
    }
    if (at + 1 != quoted.size()) fail("a text in quotes", quoted);
    return out;
  }

  // Appends what stands after a backslash; returns its length.
  size_t unescape(std::string_view rest, std::string& out) {
    constexpr std::string_view kFrom = "nrt\"\\";
    constexpr std::string_view kTo = "\n\r\t\"\\";
    const size_t known = rest.empty() ? std::string_view::npos : kFrom.find(rest[0]);
    if (known != std::string_view::npos) {
      out += kTo[known];
      return 1;
    }
    int value = 0;
    const char* end = rest.data() + std::min<size_t>(rest.size(), 3);
    const auto [stop, error] = std::from_chars(rest.data(), end, value, 8);
    if (error != std::errc() || stop != rest.data() + 3 || value > 255 || value < 0) {
      fail("an escape", rest.substr(0, 3));
    }
    out += static_cast<char>(value);
    return 3;
  }

  [[noreturn]] void fail(std::string_view expected, std::string_view found) const {
    throw_usage(source_, ":", line_, ": expected ", expected, ", found ", found.substr(0, 60));
  }

  std::string_view rest_;
  const std::string& source_;
  int line_ = 0;
};

TextFields TextFields::parse(std::string_view text, const std::string& source) {
  return TextFieldsParser(text, source).message(0);
}

void TextFields::allow_only(std::initializer_list<std::string_view> names) const {
  for (const Field& field : fields_) {
    FUNNEL_CHECK_INPUT(std::find(names.begin(), names.end(), field.name) != names.end(), source_,
                       ":", field.line, ": unknown field ", field.name);
  }
}

bool TextFields::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [name](const Field& field) { return field.name == name; });
}

std::vector<const TextFields::Field*> TextFields::all(std::string_view name, Kind kind) const {
  std::vector<const Field*> found;
  for (const Field& field : fields_) {
    if (field.name != name) continue;
    FUNNEL_CHECK_INPUT(field.kind == kind, source_, ":", field.line, ": field ", name,
                       ": expected ", name_of_kind(static_cast<int>(kind)), ", found ",
                       name_of_kind(static_cast<int>(field.kind)));
    found.push_back(&field);
  }
  return found;
}

const TextFields::Field& TextFields::only(std::string_view name, Kind kind) const {
  const std::vector<const Field*> found = all(name, kind);
  FUNNEL_CHECK_INPUT(found.size() == 1, source_, ":", line_, ": field ", name,
                     ": expected once, found ", found.size(), " times");
  return *found[0];
}

int64_t TextFields::as_integer(const Field& field) const {
  constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
  FUNNEL_CHECK_INPUT(field.number <= kLargest, source_, ":", field.line, ": field ", field.name,
                     ": expected at most ", kLargest, ", found ", field.number);
  return static_cast<int64_t>(field.number);
}

int64_t TextFields::integer(std::string_view name) const {
  return as_integer(only(name, Kind::number));
}

uint64_t TextFields::natural(std::string_view name) const {
  return only(name, Kind::number).number;
}

std::string TextFields::text(std::string_view name) const {
  return only(name, Kind::text).text;
}

std::vector<int64_t> TextFields::integers(std::string_view name) const {
  std::vector<int64_t> values;
  for (const Field* field : all(name, Kind::number)) values.push_back(as_integer(*field));
  return values;
}

std::vector<std::string> TextFields::texts(std::string_view name) const {
  std::vector<std::string> values;
  for (const Field* field : all(name, Kind::text)) values.push_back(field->text);
  return values;
}

std::vector<TextFields> TextFields::messages(std::string_view name) const {
  std::vector<TextFields> found;
  for (const Field* field : all(name, Kind::message)) found.push_back(messages_[field->message]);
  return found;
}

void TextFieldWriter::start(std::string_view name) {
  FUNNEL_CHECK(!name.empty() && std::all_of(name.begin(), name.end(), is_name_char),
               "a field cannot be named '", name, "'");
  out_.append(2 * depth_, ' ').append(name);
}

void TextFieldWriter::integer(std::string_view name, int64_t value) {
  FUNNEL_CHECK(value >= 0, "field ", name, ": expected no negative value, found ", value);
  natural(name, static_cast<uint64_t>(value));
}

void TextFieldWriter::natural(std::string_view name, uint64_t value) {
  start(name);
  out_.append(": ").append(std::to_string(value)).append("\n");
}

void TextFieldWriter::text(std::string_view name, std::string_view value) {
  start(name);
  out_.append(": \"");
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_.append({'\\', c});
    } else if (c == '\n') {
      out_.append("\\n");
    } else if (byte < 32 || byte == 127) {
      for (int shift : {6, 3, 0}) {
        if (shift == 6) out_ += '\\';
        out_ += static_cast<char>('0' + ((byte >> shift) & 7));
      }
    } else {
      out_ += c;
    }
  }
  out_.append("\"\n");
}

void TextFieldWriter::open(std::string_view name) {
  start(name);
  out_.append(" {\n");
  ++depth_;
}

void TextFieldWriter::close() {
  FUNNEL_CHECK(depth_ > 0, "close: no message is open");
  --depth_;
  out_.append(2 * depth_, ' ').append("}\n");
}

}  // namespace funnel
