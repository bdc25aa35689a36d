// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/text_options.h"

#include <CLI/CLI.hpp>

namespace funnel::shard_tool {

void add_text_options(CLI::App& command, TextInputs& text) {
  command
      .add_option("TEXT", text.paths,
                  "Files, folders, patterns in quotes ('part-*.txt'), or - for standard input. "
                  "Plain text: a sentence or paragraph a line, an empty line between documents; "
                  "*.json, *.jsonl, *.ndjson: an object a line; each also compressed by gzip or "
                  "zstd. `build` also takes HDF5 files of NVIDIA's and MLPerf's BERT examples")
      ->required();
  command.add_flag("--json", text.json, "All text is JSON lines, whatever the files are called");
  command
      .add_option("--text-field", text.options.text_field,
                  "The string in a JSON line that holds the document")
      ->capture_default_str();
  command.add_flag("--skip-bad", text.options.skip_bad,
                   "Pass over lines that are no such JSON, and count them (default: stop)");
}

}  // namespace funnel::shard_tool
