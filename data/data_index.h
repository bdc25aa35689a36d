// SPDX-License-Identifier: Apache-2.0
// The description of a data folder, `index.textproto`: what its examples are, and its shards with
// rows, bytes and SHA-256. Written last, so that a folder with an index is complete. Shards carry
// the same facts as attributes (shard.h) and must agree.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/packing_mode.h"
#include "data/tokenizer.h"
#include "data/vocabulary.h"

namespace funnel {

inline constexpr int64_t kDataFormatVersion = 2;
inline constexpr char kIndexFile[] = "index.textproto";
inline constexpr char kVocabularyFile[] = "vocab.txt";
inline constexpr char kHeldOutFolder[] = "held_out";

struct ShardEntry {
  std::string file;  // in the data folder
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string sha256;
  friend bool operator==(const ShardEntry&, const ShardEntry&) = default;
};

struct DataIndex {
  int64_t seq_len = 0;
  int64_t vocab = 0;
  std::string vocab_sha256;
  SpecialIds special;
  TokenizerConfig tokenizer;
  PackingMode packing = PackingMode::segment_pairs;
  uint64_t seed = 0;
  int64_t passes = 1;        // times the text was packed, each time with other cuts
  int64_t chunk_rows = 256;  // rows stored and shuffled together; divides every shard but the last
  int64_t examples = 0;
  int64_t tokens = 0;  // of the text, before packing and repeating
  std::string source;  // where the text came from, for people
  std::vector<ShardEntry> shards;
  friend bool operator==(const DataIndex&, const DataIndex&) = default;

  // Ids of vocabularies that fit take 16 bits.
  bool stores_uint16() const { return vocab <= 65536; }
};

std::string to_text(const DataIndex& index);

// Throws an input error naming the file, line and field: unknown, missing, repeated or impossible.
DataIndex parse_data_index(std::string_view text, const std::string& source);

// Reads FOLDER/index.textproto.
DataIndex read_data_index(const std::filesystem::path& folder);

}  // namespace funnel
