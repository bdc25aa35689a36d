// SPDX-License-Identifier: Apache-2.0
#include "data/data_set.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "core/base/error.h"

namespace funnel {

// Shards, each opened when it is first read: a rank of many may never come to most of them.
class DataSet::Shards {
 public:
  explicit Shards(const DataIndex& index) : opened_(index.shards.size()) {
    int64_t first = 0;
    for (const ShardEntry& shard : index.shards) {
      first_example_.push_back(first);
      first += shard.rows;
    }
  }

  size_t with(int64_t example) const {
    const auto after = std::upper_bound(first_example_.begin(), first_example_.end(), example);
    return static_cast<size_t>(after - first_example_.begin() - 1);
  }

  int64_t first_example(size_t shard) const { return first_example_[shard]; }

  const H5Rows& open(size_t shard, const std::filesystem::path& folder, const DataIndex& index) {
    const std::lock_guard lock(mutex_);
    std::optional<H5Rows>& rows = opened_[shard];
    if (!rows) rows = open_shard(folder, index, index.shards[shard]);
    return *rows;
  }

 private:
  std::vector<int64_t> first_example_;
  std::mutex mutex_;
  std::vector<std::optional<H5Rows>> opened_;
};

DataSet DataSet::open(const std::filesystem::path& folder, CheckShare share) {
  DataIndex index = read_data_index(folder);
  const std::filesystem::path path = folder / kVocabularyFile;
  Vocabulary vocabulary = Vocabulary::read(path);
  FUNNEL_CHECK_INPUT(vocabulary.digest() == index.vocab_sha256, path.string(),
                     ": expected the vocabulary with SHA-256 ", index.vocab_sha256, ", found ",
                     vocabulary.digest());
  FUNNEL_CHECK_INPUT(vocabulary.size() == index.vocab && vocabulary.special() == index.special,
                     path.string(), ": size or special pieces differ from the index");
  DataSet data(folder, std::move(index), std::move(vocabulary));
  for (size_t shard = static_cast<size_t>(share.rank); shard < data.index_.shards.size();
       shard += static_cast<size_t>(share.ranks)) {
    data.shards_->open(shard, folder, data.index_);
  }
  return data;
}

DataSet::DataSet(std::filesystem::path folder, DataIndex index, Vocabulary vocabulary)
    : folder_(std::move(folder)),
      index_(std::move(index)),
      vocabulary_(std::move(vocabulary)),
      shards_(std::make_unique<Shards>(index_)) {}

DataSet::~DataSet() = default;
DataSet::DataSet(DataSet&& other) noexcept = default;
DataSet& DataSet::operator=(DataSet&& other) noexcept = default;

int64_t DataSet::rows_of(int64_t chunk) const {
  return std::min(chunk_rows(), examples() - chunk * chunk_rows());
}

void DataSet::read_chunk(int64_t chunk, Tensor ids, Tensor segment_a_length) const {
  FUNNEL_CHECK(chunk >= 0 && chunk < chunks(), folder_.string(), ": expected a chunk below ",
               chunks(), ", found ", chunk);
  check_shape("read_chunk: ids", ids, {rows_of(chunk), seq_len()});
  check_shape("read_chunk: segment_a_length", segment_a_length, {rows_of(chunk)});
  const int64_t first = chunk * chunk_rows();
  const size_t shard = shards_->with(first);
  try {
    const H5Rows& rows = shards_->open(shard, folder_, index_);
    read_shard_rows(rows, index_, first - shards_->first_example(shard), ids, segment_a_length);
  } catch (const Error& error) {
    throw Error(error.what(), ExitCode::kNeedsHuman);
  }
}

}  // namespace funnel
