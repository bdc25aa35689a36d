// SPDX-License-Identifier: Apache-2.0
// The options of commands that tokenise text: --lower-case, --cased, --strip-accents,
// --keep-accents and --max-word-chars.
#pragma once

#include <cstdint>
#include <optional>

#include "data/tokenizer.h"

namespace CLI {
class App;
}

namespace funnel::shard_tool {

struct TokenizerOptions {
  bool lower_case = true;
  std::optional<bool> strip_accents;  // unless said, lower-casing decides
  int64_t max_word_chars = TokenizerConfig{}.max_word_chars;

  TokenizerConfig config() const {
    return {.lower_case = lower_case,
            .strip_accents = strip_accents.value_or(lower_case),
            .max_word_chars = max_word_chars};
  }
};

// `options` must live until the command line is parsed.
void add_tokenizer_options(CLI::App& command, TokenizerOptions& options);

}  // namespace funnel::shard_tool
