// SPDX-License-Identifier: Apache-2.0
#include "data/shard.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/digest.h"
#include "data/durable_file.h"

namespace funnel {
namespace {

// Calls f(name, value) for every attribute of a shard.
template <class F>
void for_each_attribute(const DataIndex& index, F f) {
  f("format_version", kDataFormatVersion);
  f("seq_len", index.seq_len);
  f("vocab", index.vocab);
  f("vocab_sha256", index.vocab_sha256);
  f("pad", int64_t{index.special.pad});
  f("unk", int64_t{index.special.unk});
  f("cls", int64_t{index.special.cls});
  f("sep", int64_t{index.special.sep});
  f("mask", int64_t{index.special.mask});
  f("lower_case", int64_t{index.tokenizer.lower_case});
  f("strip_accents", int64_t{index.tokenizer.strip_accents});
  f("max_word_chars", index.tokenizer.max_word_chars);
  f("packing", std::string(name_of(index.packing)));
  f("packing_seed", std::to_string(index.seed));
  f("source", index.source);
}

void check_equal(const H5File& file, const char* name, int64_t expected) {
  const int64_t found = file.int_attribute(name);
  FUNNEL_CHECK_INPUT(found == expected, file.name(), ": attribute '", name, "': expected ",
                     expected, " as in the index, found ", found);
}

void check_equal(const H5File& file, const char* name, const std::string& expected) {
  const std::string found = file.string_attribute(name);
  FUNNEL_CHECK_INPUT(found == expected, file.name(), ": attribute '", name, "': expected '",
                     expected, "' as in the index, found '", found, "'");
}

void check_equal(const H5File& file, const char* dataset, const Shape& expected) {
  const Shape found = file.shape(dataset);
  FUNNEL_CHECK_INPUT(found == expected, file.name(), ": dataset '", dataset, "': expected shape ",
                     expected, ", found ", found);
}

// What of `values` lies outside [low, high], or -1.
int64_t first_outside(const int32_t* values, int64_t count, int32_t low, int32_t high) {
  // All at once first, which the compiler can do with SIMD: hardly ever is there one to be found.
  int outside = 0;
  for (int64_t i = 0; i < count; ++i) outside |= (values[i] < low) | (values[i] > high);
  if (outside == 0) return -1;
  return std::find_if(values, values + count,
                      [&](int32_t value) { return value < low || value > high; }) -
         values;
}

}  // namespace

std::vector<char> shard_image(const std::string& name, const DataIndex& index, ConstTensor ids,
                              ConstTensor segment_a_length) {
  const int64_t rows = segment_a_length.elements();
  check_shape("shard: input_ids", ids, {rows, index.seq_len});
  check_shape("shard: segment_a_length", segment_a_length, {rows});
  H5File file = H5File::create_image(name);
  for_each_attribute(index,
                     [&](const char* key, const auto& value) { file.set_attribute(key, value); });
  file.set_attribute("tokens", ids.elements());
  file.write(kInputIds, ids, {.chunk_rows = index.chunk_rows, .as_uint16 = index.stores_uint16()});
  file.write(kSegmentALength, segment_a_length,
             {.chunk_rows = 16 * index.chunk_rows, .as_uint16 = true});
  return file.image();
}

void check_shard_size(const std::filesystem::path& folder, const ShardEntry& shard) {
  const std::filesystem::path path = folder / shard.file;
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  FUNNEL_CHECK_INPUT(!error, path.string(), ": the index lists this shard, but: ", error.message());
  FUNNEL_CHECK_INPUT(bytes == static_cast<uint64_t>(shard.bytes), path.string(), ": expected ",
                     shard.bytes, " bytes, found ", bytes);
}

H5Rows open_shard(const std::filesystem::path& folder, const DataIndex& index,
                  const ShardEntry& shard) {
  check_shard_size(folder, shard);
  const H5File file = H5File::open(folder / shard.file);
  for_each_attribute(
      index, [&](const char* name, const auto& expected) { check_equal(file, name, expected); });
  check_equal(file, kInputIds, Shape{shard.rows, index.seq_len});
  check_equal(file, kSegmentALength, Shape{shard.rows});
  return H5Rows(file, {kInputIds, kSegmentALength});
}

void read_shard_rows(const H5Rows& file, const DataIndex& index, int64_t first, Tensor ids,
                     Tensor segment_a_length) {
  file.read_rows(kInputIds, first, ids);
  file.read_rows(kSegmentALength, first, segment_a_length);
  const int64_t bad_id =
      first_outside(ids.as<int32_t>(), ids.elements(), 0, static_cast<int32_t>(index.vocab - 1));
  FUNNEL_CHECK_INPUT(bad_id < 0, file.name(), ": dataset '", kInputIds, "', row ",
                     first + bad_id / index.seq_len, ": expected ids below ", index.vocab,
                     ", found ", ids.as<int32_t>()[bad_id]);
  // No segment is empty; [CLS] A [SEP] may be all.
  const int64_t longest = index.seq_len - (is_always_full(index.packing) ? 4 : 2);
  const int64_t bad_length =
      first_outside(segment_a_length.as<int32_t>(), segment_a_length.elements(), 1,
                    static_cast<int32_t>(longest));
  FUNNEL_CHECK_INPUT(bad_length < 0, file.name(), ": dataset '", kSegmentALength, "', row ",
                     first + bad_length, ": expected 1 to ", longest, ", found ",
                     segment_a_length.as<int32_t>()[bad_length]);
}

ShardEntry write_shard(const std::filesystem::path& folder, const std::string& name,
                       const DataIndex& index, ConstTensor ids, ConstTensor segment_a_length) {
  const std::vector<char> image =
      shard_image((folder / name).string(), index, ids, segment_a_length);
  write_durably(folder / name, image);
  return {name, segment_a_length.elements(), static_cast<int64_t>(image.size()), sha256(image)};
}

void make_data_folder(const std::filesystem::path& folder) {
  FUNNEL_CHECK_INPUT(!std::filesystem::exists(folder / kIndexFile), folder.string(),
                     ": already holds a data set; choose another folder or remove it");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  FUNNEL_CHECK_INPUT(std::filesystem::is_directory(folder), folder.string(),
                     ": cannot make this folder: ", error.message());
}

std::string shard_name(int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
  return concat("shard-", digits, ".h5");
}

ShardWriter::ShardWriter(std::filesystem::path folder, DataIndex index, int64_t shard_rows,
                         int64_t first_number)
    : folder_(std::move(folder)), index_(std::move(index)), next_number_(first_number) {
  FUNNEL_CHECK_INPUT(shard_rows >= 1, "shard rows: expected at least 1, found ", shard_rows);
  FUNNEL_CHECK_INPUT(index_.seq_len >= 8 && index_.seq_len <= 65535,
                     "seq_len: expected 8 to 65535, found ", index_.seq_len);
  make_data_folder(folder_);
  shard_rows_ = (shard_rows + index_.chunk_rows - 1) / index_.chunk_rows * index_.chunk_rows;
}

void ShardWriter::add(std::span<const int32_t> ids, int64_t segment_a_length) {
  FUNNEL_CHECK(static_cast<int64_t>(ids.size()) == index_.seq_len, "shard: expected ",
               index_.seq_len, " ids, found ", ids.size());
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  segment_a_length_.push_back(static_cast<int32_t>(segment_a_length));
  if (static_cast<int64_t>(segment_a_length_.size()) == shard_rows_) end_shard();
}

void ShardWriter::end_shard() {
  const auto rows = static_cast<int64_t>(segment_a_length_.size());
  index_.shards.push_back(write_shard(folder_, shard_name(next_number_++), index_,
                                      ConstTensor(ids_.data(), {rows, index_.seq_len}, DType::i32),
                                      ConstTensor(segment_a_length_.data(), {rows}, DType::i32)));
  index_.examples += rows;
  ids_.clear();
  segment_a_length_.clear();
}

void ShardWriter::finish(const Vocabulary& vocabulary, int64_t tokens) {
  if (!segment_a_length_.empty()) end_shard();
  FUNNEL_CHECK_INPUT(index_.examples > 0, folder_.string(), ": the text is too short: ", tokens,
                     " tokens make no example of ", index_.seq_len);
  index_.tokens = tokens;
  write_durably(folder_ / kVocabularyFile, vocabulary.text());
  write_durably(folder_ / kIndexFile, to_text(index_));
}

}  // namespace funnel
