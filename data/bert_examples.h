// SPDX-License-Identifier: Apache-2.0
// Reads the HDF5 files of examples that NVIDIA's BERT recipes (DeepLearningExamples) and MLPerf's
// train on, one row an example [CLS] A [SEP] B [SEP] or [CLS] A [SEP]. Their masking is undone, and
// padding dropped. Two layouts:
//     fixed length      input_ids, input_mask, segment_ids [rows, seq_len];
//                       masked_lm_positions, masked_lm_ids [rows, predictions], filled up with 0
//     lists             input_ids, segment_ids, masked_lm_positions, masked_lm_ids: a list a row
// Other datasets (next_sentence_labels) are not looked at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/h5.h"
#include "data/vocabulary.h"

namespace funnel {

struct BertExample {
  std::span<const int32_t> ids;  // without padding; valid until the next is read
  int64_t segment_a_length = 0;
};

class BertExampleReader {
 public:
  // Keeps a reference to the vocabulary. Throws an input error naming the file and the dataset that
  // is missing or does not fit.
  BertExampleReader(const std::filesystem::path& path, const Vocabulary& vocabulary);

  int64_t rows() const { return rows_; }

  // Goes on with row `row`.
  void seek(int64_t row) { next_ = row; }

  // The next row, or false at the end. Throws an input error naming file, dataset and row: an id
  // outside the vocabulary; a row that does not read as above (of another vocabulary, mostly); a
  // mask in the middle; a masked token that nothing tells.
  bool next(BertExample& example);

 private:
  // A dataset's rows, some at a time.
  struct Column {
    std::string name;
    bool lists = false;
    int64_t width = 0;  // of rows of fixed length
    std::vector<int32_t> values;
    std::vector<int64_t> ends;

    std::span<int32_t> row(int64_t i);
  };

  Column open_column(const std::string& name, bool lists) const;
  void read(Column& column, int64_t count);
  void read_block();
  int64_t length(int64_t i);
  void unmask(int64_t i, std::span<int32_t> ids);
  int64_t segment_a(int64_t i, std::span<const int32_t> ids);
  template <class... Parts>
  void check(bool condition, const Column& column, Parts&&... parts) const;

  H5File file_;
  const Vocabulary& vocabulary_;
  int64_t rows_ = 0;
  bool lists_ = false;
  Column ids_, mask_, segments_, masked_positions_, masked_ids_;
  int64_t block_begin_ = 0;
  int64_t block_rows_ = 0;
  int64_t next_ = 0;
};

}  // namespace funnel
