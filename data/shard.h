// SPDX-License-Identifier: Apache-2.0
// One shard: an HDF5 file with
//     input_ids         [rows, seq_len]  u16 (i32 for vocabularies above 65536), chunks of
//                                        chunk_rows
//     segment_a_length  [rows]           u16: tokens of A, see packing_mode.h
// and, as attributes, all that the index says of the data set, so that a shard alone tells what it
// holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/data_index.h"
#include "data/h5.h"
#include "data/h5_rows.h"

namespace funnel {

inline constexpr char kInputIds[] = "input_ids";
inline constexpr char kSegmentALength[] = "segment_a_length";

// The bytes of a shard. `ids` [rows, seq_len] and `segment_a_length` [rows] are i32.
std::vector<char> shard_image(const std::string& name, const DataIndex& index, ConstTensor ids,
                              ConstTensor segment_a_length);

// Opens a shard and holds it to the index: size of the file, attributes, shapes. Throws an input
// error naming the file, the field, what was expected and what was found.
H5Rows open_shard(const std::filesystem::path& folder, const DataIndex& index,
                  const ShardEntry& shard);

// Throws an input error unless the file is there with the size that the index states.
void check_shard_size(const std::filesystem::path& folder, const ShardEntry& shard);

// Reads rows [first, first + rows) of a shard into `ids` [rows, seq_len] and
// `segment_a_length` [rows], both i32. Throws an input error naming file, dataset and row when an
// id is not of the vocabulary or a length does not fit.
void read_shard_rows(const H5Rows& file, const DataIndex& index, int64_t first, Tensor ids,
                     Tensor segment_a_length);

// Writes a shard of these examples durably to FOLDER/NAME. Returns its entry for the index.
ShardEntry write_shard(const std::filesystem::path& folder, const std::string& name,
                       const DataIndex& index, ConstTensor ids, ConstTensor segment_a_length);

// Makes a folder for shards. Throws an input error when it cannot be made, or holds an index.
void make_data_folder(const std::filesystem::path& folder);

// The name of a numbered shard: "shard-00012.h5".
std::string shard_name(int64_t number);

// Writes examples into numbered shards, behind those that `index` already lists, then the index.
class ShardWriter {
 public:
  // Makes the folder. `index` says what the examples are; `shard_rows` is rounded up to chunks;
  // numbers begin with `first_number`. Throws an input error when the folder already holds an
  // index.
  ShardWriter(std::filesystem::path folder, DataIndex index, int64_t shard_rows,
              int64_t first_number = 0);

  // Adds an example: seq_len ids.
  void add(std::span<const int32_t> ids, int64_t segment_a_length);

  // Writes the last shard, the vocabulary and the index. Throws an input error when there is no
  // example at all. `tokens` is for the index.
  void finish(const Vocabulary& vocabulary, int64_t tokens);

  const DataIndex& index() const { return index_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void end_shard();

  std::filesystem::path folder_;
  DataIndex index_;
  int64_t shard_rows_;
  int64_t next_number_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> segment_a_length_;
};

}  // namespace funnel
