// SPDX-License-Identifier: Apache-2.0
#include "data/json_lines.h"

#include <simdjson.h>

#include "core/base/error.h"

namespace funnel {

struct JsonLineParser::Parser {
  simdjson::dom::parser parser;
};

JsonLineParser::JsonLineParser(std::string field)
    : field_(std::move(field)), parser_(std::make_unique<Parser>()) {}

JsonLineParser::~JsonLineParser() = default;

std::string JsonLineParser::parse(std::string_view line, std::string_view& text) {
  simdjson::dom::element value;
  if (const auto error = parser_->parser.parse(line.data(), line.size()).get(value)) {
    return concat("invalid JSON: ", simdjson::error_message(error));
  }
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return "expected a JSON object, found another value";
  simdjson::dom::element found;
  if (object.at_key(field_).get(found) != simdjson::SUCCESS) {
    return concat("expected a field '", field_, "', found none");
  }
  if (found.get(text) != simdjson::SUCCESS) {
    return concat("field '", field_, "': expected a string, found another value");
  }
  return "";
}

}  // namespace funnel
