// SPDX-License-Identifier: Apache-2.0
// A data folder opened for reading: its examples are numbered 0 .. examples() - 1 through all
// shards, in chunks of chunk_rows() (only the last chunk may be smaller). Safe for many threads.
// The folder is never written to and no lock is taken, so read-only file systems and those without
// locks do.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "data/data_index.h"
#include "data/shard.h"

namespace funnel {

// Ranks that open the same folder share the work of checking its shards.
struct CheckShare {
  int rank = 0;
  int ranks = 1;
};

class DataSet {
 public:
  // Checks the index, the vocabulary and the size and attributes of every shard, or of every
  // `ranks`-th; a shard that was not checked here is when it is first read. Throws an input error
  // naming the file, the field, what was expected and what was found.
  static DataSet open(const std::filesystem::path& folder, CheckShare share = {});
  ~DataSet();
  DataSet(DataSet&& other) noexcept;
  DataSet& operator=(DataSet&& other) noexcept;

  const DataIndex& index() const { return index_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const std::filesystem::path& folder() const { return folder_; }

  int64_t examples() const { return index_.examples; }
  int64_t seq_len() const { return index_.seq_len; }
  int64_t chunk_rows() const { return index_.chunk_rows; }
  int64_t chunks() const { return (examples() + chunk_rows() - 1) / chunk_rows(); }

  // Reads chunk `chunk` into `ids` [rows, seq_len] and `segment_a_length` [rows], i32, where
  // rows = rows_of(chunk). Damage found here is an Error that needs a person (exit code 93).
  void read_chunk(int64_t chunk, Tensor ids, Tensor segment_a_length) const;
  int64_t rows_of(int64_t chunk) const;

 private:
  class Shards;
  DataSet(std::filesystem::path folder, DataIndex index, Vocabulary vocabulary);

  std::filesystem::path folder_;
  DataIndex index_;
  Vocabulary vocabulary_;
  std::unique_ptr<Shards> shards_;
};

}  // namespace funnel
