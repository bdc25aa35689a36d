// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "core/base/error.h"
#include "data/packing.h"
#include "data/shard.h"
#include "data/text_documents.h"
#include "tools/funnel_shard/commands.h"
#include "tools/funnel_shard/throughput.h"

namespace funnel::shard_tool {
namespace {

struct BuildOptions {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path vocab;
  std::filesystem::path output;
  std::string source;
  int64_t seq_len = 128;
  int64_t shard_rows = 65536;
  int64_t chunk_rows = 256;
  int64_t passes = 1;
  int64_t group_tokens = 32'000'000;
  uint64_t seed = 0;
  double held_out = 0;
  TokenizerConfig tokenizer;
};

// Documents on their way into one data folder, packed whenever a group is full.
class DataFolder {
 public:
  DataFolder(const std::filesystem::path& folder, const DataIndex& index,
             const BuildOptions& options)
      : writer_(folder, index, options.shard_rows),
        packing_{.seq_len = index.seq_len, .special = index.special, .seed = index.seed},
        group_tokens_(options.group_tokens) {}

  TokenizedDocuments& documents() { return documents_; }

  void end_document() {
    documents_.end_document();
    if (documents_.tokens() >= group_tokens_) pack_group();
  }

  void finish(const Vocabulary& vocabulary) {
    pack_group();
    writer_.finish(vocabulary, tokens_);
  }

  std::string summary() const {
    return concat(writer_.folder().string(), ": ", document_count_, " documents, ", tokens_,
                  " tokens, ", writer_.index().examples, " examples in ",
                  writer_.index().shards.size(), " shards");
  }

 private:
  void pack_group() {
    for (int64_t pass = 0; pass < writer_.index().passes; ++pass) {
      pack(documents_, packing_, group_, pass,
           [this](std::span<const int32_t> ids, int64_t length) { writer_.add(ids, length); });
    }
    ++group_;
    tokens_ += documents_.tokens();
    document_count_ += documents_.documents();
    documents_.clear();
  }

  ShardWriter writer_;
  PackingConfig packing_;
  int64_t group_tokens_;
  TokenizedDocuments documents_;
  int64_t group_ = 0;
  int64_t tokens_ = 0;
  int64_t document_count_ = 0;
};

void check(const BuildOptions& options) {
  FUNNEL_CHECK_INPUT(options.held_out >= 0 && options.held_out < 1,
                     "--held-out: expected at least 0 and below 1, found ", options.held_out);
  FUNNEL_CHECK_INPUT(options.passes >= 1, "--passes: expected at least 1, found ", options.passes);
  FUNNEL_CHECK_INPUT(options.chunk_rows >= 1 && options.chunk_rows <= 65536,
                     "--chunk-rows: expected 1 to 65536, found ", options.chunk_rows);
  FUNNEL_CHECK_INPUT(options.group_tokens >= 1 && options.group_tokens <= 2'000'000'000,
                     "--group-tokens: expected 1 to 2000000000, found ", options.group_tokens);
}

// "a.txt, b.txt and 3 more", unless the user said something better.
std::string source_of(const BuildOptions& options,
                      const std::vector<std::filesystem::path>& files) {
  if (!options.source.empty()) return options.source;
  constexpr size_t kNamed = 8;
  std::string text;
  for (size_t i = 0; i < std::min(files.size(), kNamed); ++i) {
    text += concat(i == 0 ? "" : ", ", files[i].filename().string());
  }
  return files.size() <= kNamed ? text : concat(text, " and ", files.size() - kNamed, " more");
}

void run(const BuildOptions& options) {
  check(options);
  Throughput throughput;
  const Vocabulary vocabulary = Vocabulary::read(options.vocab);
  const std::vector<std::filesystem::path> files = text_files(options.inputs);
  Tokenizer tokenizer(vocabulary, options.tokenizer);
  DataIndex index{.seq_len = options.seq_len,
                  .vocab = vocabulary.size(),
                  .vocab_sha256 = vocabulary.digest(),
                  .special = vocabulary.special(),
                  .tokenizer = options.tokenizer,
                  .seed = options.seed,
                  .passes = options.passes,
                  .chunk_rows = options.chunk_rows,
                  .source = source_of(options, files),
                  .shards = {}};
  DataFolder training(options.output, index, options);
  std::optional<DataFolder> held_out;
  if (options.held_out > 0) {
    index.passes = 1;
    held_out.emplace(options.output / kHeldOutFolder, index, options);
  }
  DocumentReader reader(files);
  TextDocument document;
  std::vector<int32_t> ids;
  int64_t tokens = 0, unknown = 0;
  while (reader.next(document)) {
    DataFolder& folder = held_out && document.hash01() < options.held_out ? *held_out : training;
    for (int64_t i = 0; i < document.lines(); ++i) {
      ids.clear();
      tokens += tokenizer.encode(document.line(i), document.place(i), ids);
      unknown += std::count(ids.begin(), ids.end(), vocabulary.special().unk);
      folder.documents().add_sentence(ids);
    }
    folder.end_document();
  }
  // The held-out set lies inside the training set's folder, whose index comes last of all.
  if (held_out) held_out->finish(vocabulary);
  training.finish(vocabulary);
  std::cout << throughput.line(reader.bytes()) << '\n' << training.summary() << '\n';
  if (held_out) std::cout << held_out->summary() << '\n';
  std::cout << "unknown words: " << unknown << " of " << tokens << " tokens\n";
}

void add_shape_options(CLI::App& command, BuildOptions& options) {
  command.add_option("--seq-len", options.seq_len, "Tokens in an example")->capture_default_str();
  command
      .add_option("--passes", options.passes,
                  "Pack the text so many times, each time with other cuts")
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Of the packing")->capture_default_str();
  command
      .add_option("--held-out", options.held_out,
                  "Fraction of the documents, chosen by their text, that goes into the data "
                  "set DIR/held_out for evaluation instead")
      ->capture_default_str();
  command
      .add_option("--shard-rows", options.shard_rows, "Examples in a shard, rounded up to chunks")
      ->capture_default_str();
  command
      .add_option("--chunk-rows", options.chunk_rows,
                  "Examples stored, checked and shuffled together")
      ->capture_default_str();
  command
      .add_option("--group-tokens", options.group_tokens,
                  "Documents are shuffled and packed in groups of about so many tokens; "
                  "a group takes 12 bytes of memory a token")
      ->capture_default_str();
}

}  // namespace

void add_build(CLI::App& app) {
  CLI::App* command = app.add_subcommand("build", "Tokenise text and pack it into HDF5 shards");
  const auto options = std::make_shared<BuildOptions>();
  command->add_option("TEXT", options->inputs, "Text files, or folders of *.txt")->required();
  command->add_option("--vocab", options->vocab, "Vocabulary: BERT's vocab.txt or of `vocab`")
      ->required();
  command->add_option("--output", options->output, "The data folder to make")->required();
  add_shape_options(*command, *options);
  command->add_flag("--lower-case,!--cased", options->tokenizer.lower_case,
                    "Lower-case and drop accents (default), or keep the text as it is");
  command
      ->add_option("--max-word-chars", options->tokenizer.max_word_chars,
                   "Longer words become <unk>")
      ->capture_default_str();
  command->add_option("--source", options->source,
                      "What the text is, for people (default: the files' names)");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
