// SPDX-License-Identifier: Apache-2.0
#include "launch/config_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <memory>
#include <numeric>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace funnel::config_text {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

// Paths of all fields below a message type: "optimizer.learning_rate".
void collect_paths(const Descriptor& type, const std::string& prefix,
                   std::vector<std::string>& paths) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string path = prefix + field.name();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      collect_paths(*field.message_type(), path + '.', paths);
    } else {
      paths.push_back(path);
    }
  }
}

// Insertions, deletions and replacements that turn one word into the other.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

// All pieces between separators, empty ones too; none for an empty text.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  if (text.empty()) return pieces;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1) {
    pieces.push_back(text.substr(begin, end - begin));
  }
  pieces.push_back(text.substr(begin));
  return pieces;
}

std::string last_name(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

// The three existing paths most like the wanted one, by whole path or by last name.
std::string closest_paths(const Descriptor& type, const std::string& wanted) {
  std::vector<std::string> paths;
  collect_paths(type, "", paths);
  const std::string wanted_name = last_name(wanted);
  const auto distance = [&](const std::string& path) {
    return std::min(edit_distance(path, wanted), edit_distance(last_name(path), wanted_name));
  };
  std::stable_sort(paths.begin(), paths.end(), [&](const std::string& a, const std::string& b) {
    return distance(a) < distance(b);
  });
  paths.resize(std::min<size_t>(paths.size(), 3));
  std::string text;
  for (const std::string& path : paths) text += (text.empty() ? "" : ", ") + path;
  return text;
}

// Keeps the first error of a parse; the ones after it are mostly its consequences.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    reason_ = message;
    text_ = line < 0 ? message : concat(line + 1, ':', column + 1, ": ", message);
  }
  // "line:column: reason"
  const std::string& text() const { return text_; }
  const std::string& reason() const { return reason_; }

 private:
  std::string text_;
  std::string reason_;
};

// For the parser's 'Message type "…" has no field named "…".': the closest fields that exist.
std::string suggestion(const std::string& reason, const Descriptor& root) {
  const std::string marker = "has no field named \"";
  const size_t at = reason.find(marker);
  if (at == std::string::npos) return "";
  const size_t begin = at + marker.size();
  const std::string name = reason.substr(begin, reason.find('"', begin) - begin);
  return " Closest: " + closest_paths(root, name) + ".";
}

// Makes room for what `overlay` brings: merging appends to repeated fields.
void clear_repeated_fields(const Message& overlay, Message& message) {
  std::vector<const FieldDescriptor*> fields;
  overlay.GetReflection()->ListFields(overlay, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      message.GetReflection()->ClearField(&message, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      clear_repeated_fields(overlay.GetReflection()->GetMessage(overlay, field),
                            *message.GetReflection()->MutableMessage(&message, field));
    }
  }
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string enum_names(const EnumDescriptor& type) {
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    names += (i == 0 ? "" : ", ") + type.value(i)->name();
  }
  return names;
}

// A field and what the user wrote for it.
struct Assignment {
  const std::string& path;
  const FieldDescriptor& field;
  const std::string& value;
};

[[noreturn]] void throw_bad_value(const Assignment& a, const std::string& expected) {
  throw_usage("--set ", a.path, ": expected ", expected, ", found \"", a.value, "\"");
}

template <class Number>
Number parse_number(const Assignment& a, const char* expected) {
  Number number{};
  const char* end = a.value.data() + a.value.size();
  const auto [stop, error] = std::from_chars(a.value.data(), end, number);
  if (error != std::errc() || stop != end) throw_bad_value(a, expected);
  return number;
}

bool parse_bool(const Assignment& a) {
  if (a.value == "true") return true;
  if (a.value == "false") return false;
  throw_bad_value(a, "true or false");
}

const EnumValueDescriptor* parse_enum(const Assignment& a) {
  const EnumDescriptor& type = *a.field.enum_type();
  const EnumValueDescriptor* value = type.FindValueByName(upper(a.value));
  if (value == nullptr) throw_bad_value(a, "one of " + enum_names(type));
  return value;
}

void set_value(const Assignment& a, Message& message) {
  const Reflection& reflection = *message.GetReflection();
  switch (a.field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &a.field, parse_number<int64_t>(a, "a whole number"));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &a.field,
                                  parse_number<uint64_t>(a, "a whole number of at least 0"));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &a.field, parse_number<double>(a, "a number"));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &a.field, parse_bool(a));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(&message, &a.field, parse_enum(a));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, &a.field, a.value);
    default:
      throw Error(concat("config: the type of ", a.path, " cannot be set from text"));
  }
}

void set_elements(const Assignment& a, Message& message) {
  FUNNEL_CHECK(a.field.cpp_type() == FieldDescriptor::CPPTYPE_STRING, "config: the type of ",
               a.path, " cannot be set from text");
  const Reflection& reflection = *message.GetReflection();
  reflection.ClearField(&message, &a.field);
  for (const std::string& element : split(a.value, ',')) {
    reflection.AddString(&message, &a.field, element);
  }
}

void append_fields(const Message& message, const std::string& prefix,
                   std::vector<std::pair<std::string, std::string>>& fields) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    const std::string path = prefix + field->name();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      append_fields(reflection.GetMessage(message, field), path + '.', fields);
      continue;
    }
    std::string value;
    if (field->is_repeated()) {
      for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
        std::string element;
        TextFormat::PrintFieldValueToString(message, field, k, &element);
        value += (k == 0 ? "" : ", ") + element;
      }
    } else if (reflection.HasField(message, field)) {
      TextFormat::PrintFieldValueToString(message, field, -1, &value);
    } else {
      value = "unset";
    }
    fields.emplace_back(path, value);
  }
}

}  // namespace

void merge_text(const std::string& text, const std::string& name, Message& message) {
  const std::unique_ptr<Message> overlay(message.New());
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  FUNNEL_CHECK_INPUT(parser.ParseFromString(text, overlay.get()), name, ':', error.text(),
                     suggestion(error.reason(), *message.GetDescriptor()));
  clear_repeated_fields(*overlay, message);
  message.MergeFrom(*overlay);
}

void merge_file(const std::filesystem::path& file, Message& message) {
  std::ifstream in(file, std::ios::binary);
  FUNNEL_CHECK_INPUT(in && !std::filesystem::is_directory(file), "cannot read the config file ",
                     file.string());
  std::ostringstream text;
  text << in.rdbuf();
  merge_text(std::move(text).str(), file.string(), message);
}

void apply_override(const std::string& assignment, Message& message) {
  const size_t equals = assignment.find('=');
  FUNNEL_CHECK_INPUT(equals != std::string::npos && equals > 0,
                     "--set: expected path=value, such as optimizer.learning_rate=3e-4, found \"",
                     assignment, '"');
  const std::string path = assignment.substr(0, equals);
  const std::string value = assignment.substr(equals + 1);
  const Descriptor& root = *message.GetDescriptor();

  Message* group = &message;
  const std::vector<std::string> names = split(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const FieldDescriptor* field = group->GetDescriptor()->FindFieldByName(names[i]);
    const bool is_last = i + 1 == names.size();
    const bool is_group = field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    FUNNEL_CHECK_INPUT(field != nullptr && (is_group || is_last), "--set ", path,
                       ": there is no such field; closest: ", closest_paths(root, path));
    FUNNEL_CHECK_INPUT(!is_group || !is_last, "--set ", path,
                       ": expected one field of this group, such as ", path, '.',
                       is_group ? field->message_type()->field(0)->name() : "");
    if (is_group) {
      group = group->GetReflection()->MutableMessage(group, field);
    } else if (field->is_repeated()) {
      set_elements({path, *field, value}, *group);
    } else {
      set_value({path, *field, value}, *group);
    }
  }
}

std::vector<std::pair<std::string, std::string>> list_fields(const Message& message) {
  std::vector<std::pair<std::string, std::string>> fields;
  append_fields(message, "", fields);
  return fields;
}

}  // namespace funnel::config_text
