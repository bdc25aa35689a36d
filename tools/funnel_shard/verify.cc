// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <set>

#include "core/base/error.h"
#include "data/digest.h"
#include "data/shard.h"
#include "tools/funnel_shard/commands.h"

namespace funnel::shard_tool {
namespace {

// Every row must read [CLS] A [SEP], then B [SEP] or not, then padding where there may be any.
void check_rows(const H5File& file, const DataIndex& index, int64_t first, ConstTensor ids,
                ConstTensor segment_a_length) {
  const SpecialIds& special = index.special;
  for (int64_t row = 0; row < segment_a_length.elements(); ++row) {
    const int32_t* id = ids.as<int32_t>() + row * index.seq_len;
    const int32_t a = segment_a_length.as<int32_t>()[row];
    const int64_t length =
        is_always_full(index.packing)
            ? index.seq_len
            : layout_of({id, static_cast<size_t>(index.seq_len)}, a, special.pad).length;
    for (const auto& [position, expected] : {std::pair<int64_t, int32_t>{0, special.cls},
                                             {a + 1, special.sep},
                                             {length - 1, special.sep}}) {
      FUNNEL_CHECK_INPUT(id[position] == expected, file.name(), ": dataset '", kInputIds, "', row ",
                         first + row, ", position ", position, ": expected id ", expected,
                         ", found ", id[position]);
    }
  }
}

void verify_shard(const std::filesystem::path& folder, const DataIndex& index,
                  const ShardEntry& shard) {
  check_shard_size(folder, shard);
  const std::filesystem::path path = folder / shard.file;
  const std::string digest = sha256_of_file(path);
  FUNNEL_CHECK_INPUT(digest == shard.sha256, path.string(), ": expected SHA-256 ", shard.sha256,
                     ", found ", digest);
  const H5File file = open_shard(folder, index, shard);
  std::vector<int32_t> ids(static_cast<size_t>(index.chunk_rows * index.seq_len));
  std::vector<int32_t> lengths(static_cast<size_t>(index.chunk_rows));
  for (int64_t first = 0; first < shard.rows; first += index.chunk_rows) {
    const int64_t rows = std::min(index.chunk_rows, shard.rows - first);
    const Tensor id_rows(ids.data(), {rows, index.seq_len}, DType::i32);
    const Tensor length_rows(lengths.data(), {rows}, DType::i32);
    read_shard_rows(file, index, first, id_rows, length_rows);
    check_rows(file, index, first, id_rows, length_rows);
  }
}

void check_no_strangers(const std::filesystem::path& folder, const DataIndex& index) {
  std::set<std::string> listed;
  for (const ShardEntry& shard : index.shards) listed.insert(shard.file);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    FUNNEL_CHECK_INPUT(entry.path().extension() != ".h5" || listed.contains(name),
                       entry.path().string(), ": the index does not list this shard");
  }
}

void verify_vocabulary(const std::filesystem::path& folder, const DataIndex& index) {
  const std::filesystem::path path = folder / kVocabularyFile;
  const Vocabulary vocabulary = Vocabulary::read(path);
  FUNNEL_CHECK_INPUT(vocabulary.digest() == index.vocab_sha256, path.string(),
                     ": expected SHA-256 ", index.vocab_sha256, ", found ", vocabulary.digest());
}

// Checks one data folder; says what is wrong on standard error and returns how much is.
int64_t verify_folder(const std::filesystem::path& folder) {
  int64_t problems = 0;
  const auto attempt = [&](auto&& check) {
    try {
      check();
    } catch (const Error& error) {
      std::cerr << error.what() << '\n';
      ++problems;
    }
  };
  const DataIndex index = read_data_index(folder);
  attempt([&] { verify_vocabulary(folder, index); });
  for (const ShardEntry& shard : index.shards) {
    attempt([&] { verify_shard(folder, index, shard); });
  }
  attempt([&] { check_no_strangers(folder, index); });
  if (problems == 0) {
    std::cout << folder.string() << ": " << index.shards.size() << " shards, " << index.examples
              << " examples, all as the index says\n";
  }
  return problems;
}

void run(const std::filesystem::path& folder) {
  int64_t problems = verify_folder(folder);
  if (std::filesystem::exists(folder / kHeldOutFolder)) {
    problems += verify_folder(folder / kHeldOutFolder);
  }
  FUNNEL_CHECK_INPUT(problems == 0, folder.string(), ": expected intact data, found ", problems,
                     problems == 1 ? " problem" : " problems");
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify", "Check every digest, attribute and id of a data folder, and of its held-out set");
  const auto folder = std::make_shared<std::filesystem::path>();
  command->add_option("DIR", *folder, "The data folder")->required();
  command->callback([folder] { run(*folder); });
}

}  // namespace funnel::shard_tool
