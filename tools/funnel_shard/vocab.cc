// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>

#include "core/base/error.h"
#include "data/count_words.h"
#include "data/durable_file.h"
#include "data/text_documents.h"
#include "data/vocabulary.h"
#include "data/vocabulary_trainer.h"
#include "tools/funnel_shard/commands.h"
#include "tools/funnel_shard/text_options.h"
#include "tools/funnel_shard/throughput.h"
#include "tools/funnel_shard/tokenizer_options.h"

namespace funnel::shard_tool {
namespace {

struct VocabOptions {
  TextInputs text;
  std::filesystem::path output;
  TokenizerOptions tokenizer;
  WordCountConfig count;
  VocabularyTrainerConfig trainer;
};

CountedWords count(const VocabOptions& options, DocumentReader& reader) {
  const TokenizerConfig rules = options.tokenizer.config();
  WordCountConfig config = options.count;
  config.rules = {.lower_case = rules.lower_case, .strip_accents = rules.strip_accents};
  config.max_word_chars = rules.max_word_chars;
  config.folder = options.output.has_parent_path() ? options.output.parent_path() : ".";
  return count_words(reader, config);
}

void run(const VocabOptions& options) {
  const Throughput throughput;
  DocumentReader reader(options.text.files(), options.text.options);
  const CountedWords words = count(options, reader);
  FUNNEL_CHECK_INPUT(words.size() > 0, "the text has no words");
  std::cout << "counted " << throughput.line(reader.bytes()) << '\n'
            << words.size() + words.dropped_words << " distinct words";
  if (words.dropped_words > 0) {
    std::cout << ", of which the " << words.dropped_words << " rarest are dropped ("
              << words.dropped_uses << " uses)";
  }
  std::cout << '\n';
  const std::vector<std::string> pieces = train_vocabulary(words, options.trainer);
  std::string text;
  for (const std::string& piece : pieces) text += piece + '\n';
  const Vocabulary vocabulary = Vocabulary::parse(text, options.output.string());
  write_durably(options.output, text);
  std::cout << "in all " << throughput.line(reader.bytes()) << '\n'
            << options.output.string() << ": " << pieces.size() << " pieces, SHA-256 "
            << vocabulary.digest() << '\n';
  if (static_cast<int64_t>(pieces.size()) < options.trainer.size) {
    std::cout << "no more pieces: no other pair of neighbours comes "
              << options.trainer.min_frequency << " times (--min-frequency)\n";
  }
}

}  // namespace

void add_vocab(CLI::App& app) {
  CLI::App* command = app.add_subcommand("vocab", "Train a WordPiece vocabulary on text");
  const auto options = std::make_shared<VocabOptions>();
  VocabularyTrainerConfig& trainer = options->trainer;
  add_text_options(*command, options->text);
  command->add_option("--output", options->output, "The vocabulary file to write, a piece a line")
      ->required();
  command->add_option("--size", trainer.size, "Pieces, the five special ones included")
      ->capture_default_str();
  command
      ->add_option("--min-frequency", trainer.min_frequency,
                   "Do not join a pair of pieces seen less often")
      ->capture_default_str();
  command
      ->add_option("--max-characters", trainer.max_characters,
                   "Single characters that get a piece, the most frequent ones")
      ->capture_default_str();
  WordCountConfig& count = options->count;
  count.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  add_tokenizer_options(*command, options->tokenizer);
  command->add_option("--min-count", count.min_count, "Drop words that are rarer")
      ->capture_default_str();
  command
      ->add_option("--max-words", count.max_words,
                   "Distinct words held in memory, about 100 bytes each; counts beyond go to "
                   "nameless files beside the vocabulary, and only so many words, the most "
                   "frequent, are trained on")
      ->capture_default_str();
  command->add_option("--threads", count.threads, "Threads that count (default: all cores)");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
