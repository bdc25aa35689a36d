// SPDX-License-Identifier: Apache-2.0
// Vocabularies and data sets small enough to read.
#pragma once

#include <string>
#include <vector>

#include "data/data_set.h"
#include "data/vocabulary.h"

namespace funnel::testing {

// The special pieces (ids 0 to 4), then these.
inline Vocabulary vocabulary_of(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : special_pieces()) text += piece + '\n';
  for (const std::string& piece : pieces) text += piece + '\n';
  return Vocabulary::parse(text, "vocab.txt");
}

// Special pieces and letters: `size` pieces in all.
inline Vocabulary vocabulary_of_size(int64_t size) {
  std::vector<std::string> pieces;
  for (int64_t id = 5; id < size; ++id) pieces.push_back(concat("piece", id));
  return vocabulary_of(pieces);
}

inline DataIndex index_for(const Vocabulary& vocabulary, int64_t seq_len, int64_t chunk_rows) {
  DataIndex index;
  index.seq_len = seq_len;
  index.vocab = vocabulary.size();
  index.vocab_sha256 = vocabulary.digest();
  index.special = vocabulary.special();
  index.chunk_rows = chunk_rows;
  index.source = "made by a test";
  return index;
}

// A data folder of `examples` rows whose tokens tell the row: row r holds ids 5 + (r + i) % (size -
// 5), and A has 1 + r % (seq_len - 4) tokens.
inline void write_numbered_data(const std::filesystem::path& folder, int64_t examples,
                                int64_t seq_len, int64_t vocab, int64_t chunk_rows,
                                int64_t shard_rows) {
  const Vocabulary vocabulary = vocabulary_of_size(vocab);
  ShardWriter writer(folder, index_for(vocabulary, seq_len, chunk_rows), shard_rows);
  std::vector<int32_t> ids(static_cast<size_t>(seq_len));
  for (int64_t row = 0; row < examples; ++row) {
    const int64_t a = 1 + row % (seq_len - 4);
    for (int64_t i = 0; i < seq_len; ++i)
      ids[i] = static_cast<int32_t>(5 + (row + i) % (vocab - 5));
    ids.front() = vocabulary.special().cls;
    ids[a + 1] = ids.back() = vocabulary.special().sep;
    writer.add(ids, a);
  }
  writer.finish(vocabulary, examples * seq_len);
}

}  // namespace funnel::testing
