// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include "core/base/error.h"
#include "data/data_set.h"
#include "data/data_statistics.h"
#include "tools/funnel_shard/commands.h"

namespace funnel::shard_tool {
namespace {

constexpr int64_t kMostChunks = 256;

struct InfoOptions {
  std::filesystem::path folder;
  int64_t examples = 3;
};

void print_index(const DataSet& data) {
  const DataIndex& index = data.index();
  int64_t bytes = 0;
  for (const ShardEntry& shard : index.shards) bytes += shard.bytes;
  std::cout << "folder            " << data.folder().string() << '\n'
            << "source            " << index.source << '\n'
            << "shards            " << index.shards.size() << ", " << std::fixed
            << std::setprecision(1) << static_cast<double>(bytes) / 1e6 << " MB\n"
            << "vocabulary        " << index.vocab << " pieces, SHA-256 " << index.vocab_sha256
            << '\n'
            << "seed of packing   " << index.seed << '\n'
            << "tokenizer         " << (index.tokenizer.lower_case ? "lower case" : "cased")
            << (index.tokenizer.strip_accents ? ", without accents" : ", with accents")
            << ", words up to " << index.tokenizer.max_word_chars << " characters\n";
}

// Counts over all chunks, or over about kMostChunks of them spread evenly.
void print_statistics(const DataSet& data) {
  const int64_t stride = (data.chunks() + kMostChunks - 1) / kMostChunks;
  const DataStatistics statistics = count_examples(data, 0, stride);
  std::cout << report_text(data.index(), statistics) << "segment A         " << std::setprecision(1)
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
  const int32_t* id = ids.data() + row * seq;
  const ExampleLayout layout = layout_of(
      {id, static_cast<size_t>(seq)}, lengths[static_cast<size_t>(row)], data.index().special.pad);
  const int64_t a = layout.segment_a, b = layout.segment_b();
  std::cout << "\nexample " << example << "\n  A (" << a
            << " tokens): " << decode(data.vocabulary(), id + 1, a) << '\n';
  if (!layout.has_b()) return;
  std::cout << "  B (" << b << " tokens): " << decode(data.vocabulary(), id + a + 2, b) << '\n';
}

void print_folder(const std::filesystem::path& folder, int64_t examples) {
  const DataSet data = DataSet::open(folder);
  print_index(data);
  print_statistics(data);
  const int64_t shown = std::min(examples, data.examples());
  for (int64_t i = 0; i < shown; ++i) print_example(data, i * data.examples() / shown);
}

void run(const InfoOptions& options) {
  FUNNEL_CHECK_INPUT(options.examples >= 0, "--examples: expected at least 0, found ",
                     options.examples);
  print_folder(options.folder, options.examples);
  const std::filesystem::path held_out = options.folder / kHeldOutFolder;
  if (std::filesystem::exists(held_out)) {
    std::cout << '\n';
    print_folder(held_out, 0);
  }
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("info", "Describe a data folder, and show a few examples as text");
  const auto options = std::make_shared<InfoOptions>();
  command->add_option("DIR", options->folder, "The data folder")->required();
  command->add_option("--examples", options->examples, "How many examples to show")
      ->capture_default_str();
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
