// SPDX-License-Identifier: Apache-2.0
// Any bytes as a shard of a data set: an input error, or rows whose every id is of the vocabulary.
#include <cstdlib>
#include <fstream>

#include "core/backend/buffer.h"
#include "core/base/error.h"
#include "data/shard.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"
#include "tests/fuzz/fuzz_target.h"

namespace funnel {
namespace {

constexpr int64_t kRows = 24, kSeqLen = 16, kVocab = 40;

// The shard of a small data set, and the index that names it.
struct Example {
  testing::TemporaryFolder folder;
  DataIndex index;

  Example() {
    testing::write_numbered_data(folder / "data", kRows, kSeqLen, kVocab, 8, kRows);
    index = read_data_index(folder / "data");
  }
  std::filesystem::path shard() const { return folder / "data" / index.shards[0].file; }
};

Example& example() {
  static Example one;
  return one;
}

void read_shard(const std::string& bytes) {
  Example& data = example();
  std::ofstream(data.shard(), std::ios::binary | std::ios::trunc) << bytes;
  data.index.shards[0].bytes = static_cast<int64_t>(bytes.size());
  Buffer memory(Device::cpu, (kRows * kSeqLen + kRows) * size_of(DType::i32));
  const Tensor all = memory.tensor({kRows * kSeqLen + kRows}, DType::i32);
  const Tensor ids = all.slice(0, {kRows, kSeqLen}), lengths = all.slice(kRows * kSeqLen, {kRows});
  try {
    const H5Rows file = open_shard(data.folder / "data", data.index, data.index.shards[0]);
    read_shard_rows(file, data.index, 0, ids, lengths);
  } catch (const Error& error) {
    if (error.exit_code() != ExitCode::kUsage) std::abort();
    return;
  }
  for (int64_t i = 0; i < kRows * kSeqLen; ++i) {
    if (ids.as<int32_t>()[i] < 0 || ids.as<int32_t>()[i] >= kVocab) std::abort();
  }
}

}  // namespace

std::vector<std::string> testing::fuzz_seeds() {
  std::ifstream file(example().shard(), std::ios::binary);
  return {std::string(std::istreambuf_iterator<char>(file), {})};
}

}  // namespace funnel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  funnel::read_shard(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
