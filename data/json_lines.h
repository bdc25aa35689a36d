// SPDX-License-Identifier: Apache-2.0
// One line of a JSON-lines file: an object with a string field that holds the text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace funnel {

class JsonLineParser {
 public:
  // `field` names the text's field at the top of the object.
  explicit JsonLineParser(std::string field);
  ~JsonLineParser();

  // Sets `text` to the field's value, valid until the next call, and returns an empty string; or
  // returns what is wrong with the line. The whole line is checked to be JSON in UTF-8.
  std::string parse(std::string_view line, std::string_view& text);

 private:
  struct Parser;
  std::string field_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace funnel
