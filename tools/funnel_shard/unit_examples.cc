// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/unit_examples.h"

#include "core/base/error.h"
#include "data/shard.h"

namespace funnel::shard_tool {
namespace {

std::optional<ShardEntry> write_rows(const std::filesystem::path& folder, const std::string& name,
                                     const DataIndex& index, const Examples& examples,
                                     int64_t first, int64_t rows) {
  if (rows == 0) return std::nullopt;
  return write_shard(
      folder, name, index,
      ConstTensor(examples.ids.data() + first * index.seq_len, {rows, index.seq_len}, DType::i32),
      ConstTensor(examples.segment_a_length.data() + first, {rows}, DType::i32));
}

// Whole chunks become the unit's shard, what is left its rest.
void write_examples(const std::filesystem::path& folder, const std::filesystem::path& rest_folder,
                    const std::string& rest_kind, const std::string& unit, const DataIndex& index,
                    const Examples& examples, UnitShare& share) {
  const int64_t whole = examples.rows() / index.chunk_rows * index.chunk_rows;
  share.shard = write_rows(folder, concat("shard-", unit, ".h5"), index, examples, 0, whole);
  share.rest = write_rows(rest_folder, concat("rest-", rest_kind, "-", unit, ".h5"), index,
                          examples, whole, examples.rows() - whole);
}

}  // namespace

void Examples::add(std::span<const int32_t> row, int64_t a) {
  ids.insert(ids.end(), row.begin(), row.end());
  segment_a_length.push_back(static_cast<int32_t>(a));
}

void write_training(const BuildSetup& setup, const Examples& examples, UnitRecord& record) {
  write_examples(setup.folder.output(), setup.folder.path(), "training",
                 unit_name(record.job, record.part), setup.training, examples, record.training);
}

void write_held_out(const BuildSetup& setup, const Examples& examples, UnitRecord& record) {
  write_examples(setup.folder.held_out(), setup.folder.path(), "held-out",
                 unit_name(record.job, record.part), setup.held_out, examples, record.held_out);
}

}  // namespace funnel::shard_tool
