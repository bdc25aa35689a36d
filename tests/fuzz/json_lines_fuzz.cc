// SPDX-License-Identifier: Apache-2.0
// Any bytes as a JSON line: a text that can be read to its end, or words about what is wrong. A
// line gives the same on a parser that has seen others.
#include <cstdlib>

#include "data/json_lines.h"
#include "tests/fuzz/fuzz_target.h"

std::vector<std::string> funnel::testing::fuzz_seeds() {
  return {R"({"text": "one \u00e9 two", "id": 7})", R"({"meta": {"text": [1, 2.5e3]}, "text": ""})",
          R"({"id": null, "other": "x"})"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Exactly as long as the line, so that reading behind it shows.
  const std::string line(reinterpret_cast<const char*>(data), size);
  static funnel::JsonLineParser used("text");
  funnel::JsonLineParser fresh("text");
  std::string_view text, expected;
  const std::string fault = used.parse(line, text);
  if (fault != fresh.parse(line, expected)) std::abort();
  if (fault.empty() && std::string(text) != std::string(expected)) std::abort();
  return 0;
}
