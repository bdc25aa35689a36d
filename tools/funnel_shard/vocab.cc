// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "core/base/error.h"
#include "data/durable_file.h"
#include "data/text_documents.h"
#include "data/vocabulary.h"
#include "data/vocabulary_trainer.h"
#include "tools/funnel_shard/commands.h"
#include "tools/funnel_shard/text_options.h"
#include "tools/funnel_shard/throughput.h"

namespace funnel::shard_tool {
namespace {

struct VocabOptions {
  TextInputs text;
  std::filesystem::path output;
  VocabularyTrainerConfig trainer;
};

void run(const VocabOptions& options) {
  Throughput throughput;
  VocabularyTrainer trainer(options.trainer);
  DocumentReader reader(options.text.files(), options.text.options);
  TextDocument document;
  int64_t documents = 0;
  for (; reader.next(document); ++documents) {
    for (int64_t i = 0; i < document.lines(); ++i) trainer.add(document.line(i), document.place(i));
  }
  FUNNEL_CHECK_INPUT(trainer.distinct_words() > 0, "the text has no words");
  const std::vector<std::string> pieces = trainer.train();
  std::string text;
  for (const std::string& piece : pieces) text += piece + '\n';
  const Vocabulary vocabulary = Vocabulary::parse(text, options.output.string());
  write_durably(options.output, text);
  std::cout << throughput.line(reader.bytes()) << '\n'
            << documents << " documents, " << trainer.distinct_words() << " distinct words\n"
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
  command->add_flag("--lower-case,!--cased", trainer.lower_case,
                    "Lower-case and drop accents (default), or keep the text as it is");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
