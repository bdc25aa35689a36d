// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/tokenizer_options.h"

#include <CLI/CLI.hpp>

namespace funnel::shard_tool {

void add_tokenizer_options(CLI::App& command, TokenizerOptions& options) {
  command.add_flag("--lower-case,!--cased", options.lower_case,
                   "Lower-case the text (default), or keep its case");
  command.add_flag_function(
      "--strip-accents,!--keep-accents",
      [&options](int64_t strip) { options.strip_accents = strip > 0; },
      "Decompose characters and drop their accents, or not (default: drop them when "
      "lower-casing)");
  command.add_option("--max-word-chars", options.max_word_chars, "Longer words become <unk>")
      ->capture_default_str();
}

}  // namespace funnel::shard_tool
