// SPDX-License-Identifier: Apache-2.0
#include "data/data_set.h"

#include <algorithm>

#include "core/base/error.h"

namespace funnel {

DataSet DataSet::open(const std::filesystem::path& folder) {
  DataIndex index = read_data_index(folder);
  const std::filesystem::path path = folder / kVocabularyFile;
  Vocabulary vocabulary = Vocabulary::read(path);
  FUNNEL_CHECK_INPUT(vocabulary.digest() == index.vocab_sha256, path.string(),
                     ": expected the vocabulary with SHA-256 ", index.vocab_sha256, ", found ",
                     vocabulary.digest());
  FUNNEL_CHECK_INPUT(vocabulary.size() == index.vocab && vocabulary.special() == index.special,
                     path.string(), ": size or special pieces differ from the index");
  for (const ShardEntry& shard : index.shards) open_shard(folder, index, shard);
  return DataSet(folder, std::move(index), std::move(vocabulary));
}

DataSet::DataSet(std::filesystem::path folder, DataIndex index, Vocabulary vocabulary)
    : folder_(std::move(folder)), index_(std::move(index)), vocabulary_(std::move(vocabulary)) {
  int64_t first = 0;
  for (const ShardEntry& shard : index_.shards) {
    first_example_.push_back(first);
    first += shard.rows;
  }
}

int64_t DataSet::rows_of(int64_t chunk) const {
  return std::min(chunk_rows(), examples() - chunk * chunk_rows());
}

void DataSet::read_chunk(int64_t chunk, Tensor ids, Tensor segment_a_length) const {
  FUNNEL_CHECK(chunk >= 0 && chunk < chunks(), folder_.string(), ": expected a chunk below ",
               chunks(), ", found ", chunk);
  check_shape("read_chunk: ids", ids, {rows_of(chunk), seq_len()});
  check_shape("read_chunk: segment_a_length", segment_a_length, {rows_of(chunk)});
  const int64_t first = chunk * chunk_rows();
  const auto after = std::upper_bound(first_example_.begin(), first_example_.end(), first);
  const auto shard = static_cast<size_t>(after - first_example_.begin() - 1);
  try {
    const H5File file = open_shard(folder_, index_, index_.shards[shard]);
    read_shard_rows(file, index_, first - first_example_[shard], ids, segment_a_length);
  } catch (const Error& error) {
    throw Error(error.what(), ExitCode::kNeedsHuman);
  }
}

}  // namespace funnel
