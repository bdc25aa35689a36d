// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include "core/base/error.h"
#include "data/data_set.h"
#include "data/data_statistics.h"
#include "data/example_text.h"
#include "tools/funnel_shard/commands.h"

namespace funnel::shard_tool {
namespace {

constexpr int64_t kMostChunks = 256;

struct InfoOptions {
  std::filesystem::path path;
  int64_t examples = 3;
  std::vector<int64_t> chosen;
};

// Examples of a data set: all, or those of one shard.
struct Part {
  const DataSet& data;
  const ShardEntry* shard = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

Part whole(const DataSet& data) {
  return {.data = data, .end = data.examples()};
}

Part part_of_shard(const DataSet& data, const std::filesystem::path& file) {
  Part part{.data = data};
  for (const ShardEntry& shard : data.index().shards) {
    part.begin = part.end;
    part.end += shard.rows;
    part.shard = &shard;
    if (shard.file == file.filename()) return part;
  }
  throw_usage(file.string(), ": ", kIndexFile, " beside it names no such shard");
}

void print_index(const Part& part) {
  const DataIndex& index = part.data.index();
  int64_t bytes = 0;
  for (const ShardEntry& shard : index.shards) bytes += shard.bytes;
  std::cout << "folder            " << part.data.folder().string() << '\n'
            << "source            " << index.source << '\n'
            << "shards            " << index.shards.size() << ", " << std::fixed
            << std::setprecision(1) << static_cast<double>(bytes) / 1e6 << " MB\n";
  if (part.shard != nullptr) {
    std::cout << "shard             " << part.shard->file << ", "
              << static_cast<double>(part.shard->bytes) / 1e6 << " MB, SHA-256 "
              << part.shard->sha256 << "\n                  examples " << part.begin << " to "
              << part.end - 1 << " of the folder's " << part.data.examples() << '\n';
  }
  std::cout << "vocabulary        " << index.vocab << " pieces, SHA-256 " << index.vocab_sha256
            << '\n'
            << "seed of packing   " << index.seed << '\n'
            << "tokenizer         " << (index.tokenizer.lower_case ? "lower case" : "cased")
            << (index.tokenizer.strip_accents ? ", without accents" : ", with accents")
            << ", words up to " << index.tokenizer.max_word_chars << " characters\n";
}

// Counts over all chunks, or over about kMostChunks of them spread evenly.
void print_statistics(const Part& part) {
  const int64_t rows = part.data.chunk_rows();
  const int64_t first = part.begin / rows, end = (part.end + rows - 1) / rows;
  const int64_t stride = (end - first + kMostChunks - 1) / kMostChunks;
  const DataStatistics statistics = count_examples(part.data, first, stride, end);
  std::cout << report_text(part.data.index(), statistics) << "segment A         "
            << std::setprecision(1)
            << static_cast<double>(statistics.segment_a_tokens) /
                   static_cast<double>(statistics.examples())
            << " tokens on average\n";
  if (stride > 1) {
    std::cout << "                  (counted over " << statistics.examples() << " examples)\n";
  }
}

void print_example(const DataSet& data, int64_t example) {
  const int64_t chunk = example / data.chunk_rows(), row = example % data.chunk_rows();
  const int64_t rows = data.rows_of(chunk), seq = data.seq_len();
  std::vector<int32_t> ids(static_cast<size_t>(rows * seq)), lengths(static_cast<size_t>(rows));
  data.read_chunk(chunk, Tensor(ids.data(), {rows, seq}, DType::i32),
                  Tensor(lengths.data(), {rows}, DType::i32));
  std::cout << "\nexample " << example << '\n'
            << example_text(data.vocabulary(), {ids.data() + row * seq, static_cast<size_t>(seq)},
                            lengths[static_cast<size_t>(row)]);
}

// `chosen` or, where that is empty, `count` examples spread evenly.
void print_examples(const Part& part, const std::vector<int64_t>& chosen, int64_t count) {
  for (const int64_t example : chosen) {
    FUNNEL_CHECK_INPUT(example >= part.begin && example < part.end,
                       "--example: expected a number from ", part.begin, " to ", part.end - 1,
                       ", found ", example);
    print_example(part.data, example);
  }
  if (!chosen.empty()) return;
  const int64_t shown = std::min(count, part.size());
  for (int64_t i = 0; i < shown; ++i)
    print_example(part.data, part.begin + i * part.size() / shown);
}

void run(const InfoOptions& options) {
  FUNNEL_CHECK_INPUT(options.examples >= 0, "--examples: expected at least 0, found ",
                     options.examples);
  const bool is_folder =
      std::filesystem::is_directory(options.path) || !std::filesystem::exists(options.path);
  const DataSet data = DataSet::open(
      is_folder ? options.path : std::filesystem::absolute(options.path).parent_path());
  const Part part = is_folder ? whole(data) : part_of_shard(data, options.path);
  print_index(part);
  print_statistics(part);
  print_examples(part, options.chosen, options.examples);
  const std::filesystem::path held_out = options.path / kHeldOutFolder;
  if (is_folder && std::filesystem::exists(held_out)) {
    const DataSet held_out_data = DataSet::open(held_out);
    std::cout << '\n';
    print_index(whole(held_out_data));
    print_statistics(whole(held_out_data));
  }
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "info",
      "Describe a data folder or one of its shards, and show examples as text: segments between "
      "special tokens, words between spaces, the pieces of a word between bars");
  const auto options = std::make_shared<InfoOptions>();
  command->add_option("PATH", options->path, "The data folder, or a shard in it")->required();
  command->add_option("--examples", options->examples, "How many examples to show, spread evenly")
      ->capture_default_str();
  command->add_option("--example", options->chosen, "Show the example of this number; repeatable");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
