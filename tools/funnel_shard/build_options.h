// SPDX-License-Identifier: Apache-2.0
// What a user can ask of `funnel-shard build`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/packing_mode.h"
#include "tools/funnel_shard/text_options.h"
#include "tools/funnel_shard/tokenizer_options.h"

namespace funnel::shard_tool {

struct BuildOptions {
  TextInputs text;
  std::filesystem::path vocab;
  std::filesystem::path output;
  std::string source;
  int64_t seq_len = 128;
  int64_t shard_rows = 65536;
  int64_t chunk_rows = 256;
  int64_t passes = 1;
  uint64_t seed = 0;
  double held_out = 0;
  bool deduplicate = false;
  bool start_over = false;
  PackingMode packing = PackingMode::segment_pairs;
  TokenizerOptions tokenizer;
};

}  // namespace funnel::shard_tool
