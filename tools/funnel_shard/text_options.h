// SPDX-License-Identifier: Apache-2.0
// The options of every command that reads text, and what they say of the inputs.
#pragma once

#include <filesystem>
#include <vector>

#include "data/text_documents.h"

namespace CLI {
class App;
}

namespace funnel::shard_tool {

struct TextInputs {
  std::vector<std::filesystem::path> paths;
  bool json = false;  // all text is JSON lines
  TextOptions options;

  std::vector<TextFile> files() const { return text_files(paths, json); }
};

// Adds TEXT, --json, --text-field and --skip-bad to a command.
void add_text_options(CLI::App& command, TextInputs& text);

}  // namespace funnel::shard_tool
