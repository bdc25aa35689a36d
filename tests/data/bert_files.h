// SPDX-License-Identifier: Apache-2.0
// Writes HDF5 files of BERT examples as NVIDIA's create_pretraining_data.py does (rows of fixed
// length, gzip) and as MLPerf's conversion to lists does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/vocabulary.h"

namespace funnel::testing {

struct BertRow {
  std::vector<int32_t> ids;
  int64_t segment_a_length = 0;
};

struct BertFile {
  std::vector<BertRow> originals;  // before masking, without padding
  int64_t seq_len = 0;
  // As stored, without padding and filling.
  std::vector<std::vector<int32_t>> ids, mask, segments, masked_positions, masked_ids;
  std::string left_out;  // a dataset not to write
};

// Random examples, some of them full, some with A alone; an eighth of the tokens masked, kept or
// replaced.
BertFile masked_examples(const Vocabulary& vocabulary, int64_t rows, int64_t seq_len);

void write_bert_file(const std::filesystem::path& path, const BertFile& content, bool lists);

}  // namespace funnel::testing
