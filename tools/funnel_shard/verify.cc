// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <memory>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "data/digest.h"
#include "data/shard.h"
#include "tools/funnel_shard/commands.h"

namespace funnel::shard_tool {
namespace {

struct VerifyOptions {
  std::filesystem::path folder;
  int threads = 0;
};

using Problems = std::vector<std::string>;

// Runs a check; what it throws is a problem. Whether it found none.
template <class Check>
bool attempt(Problems& problems, Check check) {
  try {
    check();
    return true;
  } catch (const Error& error) {
    problems.push_back(error.what());
    return false;
  }
}

// Every row must read [CLS] A [SEP], then B [SEP] or not, then padding where there may be any.
void check_rows(const H5Rows& file, const DataIndex& index, int64_t first, ConstTensor ids,
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

// Reads and judges what the checksums have found sound.
void verify_rows(const H5Rows& file, const DataIndex& index, const ShardEntry& shard,
                 const std::vector<DamagedRows>& damaged, Problems& problems) {
  std::vector<int32_t> ids(static_cast<size_t>(index.chunk_rows * index.seq_len));
  std::vector<int32_t> lengths(static_cast<size_t>(index.chunk_rows));
  for (int64_t first = 0; first < shard.rows; first += index.chunk_rows) {
    const int64_t rows = std::min(index.chunk_rows, shard.rows - first);
    const bool is_known =
        std::any_of(damaged.begin(), damaged.end(), [&](const DamagedRows& damage) {
          return damage.first < first + rows && first < damage.first + damage.rows;
        });
    if (is_known) continue;
    const Tensor id_rows(ids.data(), {rows, index.seq_len}, DType::i32);
    const Tensor length_rows(lengths.data(), {rows}, DType::i32);
    attempt(problems, [&] {
      read_shard_rows(file, index, first, id_rows, length_rows);
      check_rows(file, index, first, id_rows, length_rows);
    });
  }
}

// All that is wrong with a shard: the digest tells whether, checksums and rows tell where.
Problems verify_shard(const std::filesystem::path& folder, const DataIndex& index,
                      const ShardEntry& shard) {
  Problems problems;
  const std::string name = (folder / shard.file).string();
  if (!attempt(problems, [&] { check_shard_size(folder, shard); })) return problems;
  const bool is_whole = attempt(problems, [&] {
    const std::string digest = sha256_of_file(name);
    FUNNEL_CHECK_INPUT(digest == shard.sha256, name, ": expected SHA-256 ", shard.sha256,
                       ", found ", digest);
  });
  const size_t before = problems.size();
  attempt(problems, [&] {
    const H5Rows rows = open_shard(folder, index, shard);
    const std::vector<DamagedRows> damaged = rows.damage();
    for (const DamagedRows& damage : damaged) {
      problems.push_back(concat(name, ": dataset '", damage.dataset, "', rows ", damage.first,
                                " to ", damage.first + damage.rows - 1, ": ", damage.reason));
    }
    verify_rows(rows, index, shard, damaged, problems);
  });
  if (!is_whole && problems.size() == before) {
    problems.back() += "; every row is sound, so the damage lies between the data sets";
  }
  return problems;
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

// Checks shards on several threads; gives each one's problems.
std::vector<Problems> verify_shards(const std::filesystem::path& folder, const DataIndex& index,
                                    int threads) {
  std::vector<Problems> problems(index.shards.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < problems.size(); i = next++) {
      problems[i] = verify_shard(folder, index, index.shards[i]);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return problems;
}

// Checks one data folder; says what is wrong on standard error and returns how much is.
size_t verify_folder(const std::filesystem::path& folder, int threads) {
  const auto begin = std::chrono::steady_clock::now();
  const DataIndex index = read_data_index(folder);
  Problems all;
  attempt(all, [&] { verify_vocabulary(folder, index); });
  for (const Problems& some : verify_shards(folder, index, threads)) {
    all.insert(all.end(), some.begin(), some.end());
  }
  attempt(all, [&] { check_no_strangers(folder, index); });
  for (const std::string& problem : all) std::cerr << problem << '\n';
  double megabytes = 0;
  for (const ShardEntry& shard : index.shards) megabytes += static_cast<double>(shard.bytes) / 1e6;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  std::cout << folder.string() << ": " << index.shards.size() << " shards, " << index.examples
            << " examples, "
            << (all.empty() ? "all as the index says" : concat(all.size(), " problems"))
            << std::fixed << std::setprecision(1) << "; " << megabytes << " MB in "
            << elapsed.count() << " s, " << megabytes / elapsed.count() << " MB/s\n";
  return all.size();
}

void run(const VerifyOptions& options) {
  const int threads = options.threads > 0
                          ? options.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  size_t problems = verify_folder(options.folder, threads);
  if (std::filesystem::exists(options.folder / kHeldOutFolder)) {
    problems += verify_folder(options.folder / kHeldOutFolder, threads);
  }
  if (problems == 0) return;
  throw Error(concat(options.folder.string(), ": expected intact data, found ", problems,
                     problems == 1 ? " problem" : " problems"),
              ExitCode::kNeedsHuman);
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify",
      "Check every digest, attribute and id of a data folder, and of its held-out set; names file, "
      "dataset and rows of all damage, and then exits with 93");
  const auto options = std::make_shared<VerifyOptions>();
  command->add_option("DIR", options->folder, "The data folder")->required();
  command->add_option("--threads", options->threads, "Shards checked at once (default: all cores)")
      ->check(CLI::Range(1, 1024));
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
