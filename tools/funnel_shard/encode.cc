// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "tools/funnel_shard/commands.h"
#include "tools/funnel_shard/tokenizer_options.h"

namespace funnel::shard_tool {
namespace {

struct EncodeOptions {
  std::filesystem::path vocab;
  TokenizerOptions tokenizer;
  bool pieces = false;
};

// Complete lines of a file descriptor, a block at a time: whatever is there when asked, so that a
// program that waits for each answer gets it.
class LineBlocks {
 public:
  explicit LineBlocks(int descriptor) : descriptor_(descriptor) {}

  // The next lines, each with its '\n' but perhaps the last of all; empty at the end. Valid until
  // the next call.
  std::string_view next() {
    buffer_.erase(0, given_);
    given_ = 0;
    while (true) {
      const size_t seen = buffer_.size();
      if (!read_more()) {
        given_ = buffer_.size();
        return buffer_;
      }
      const size_t end = std::string_view(buffer_).substr(seen).rfind('\n');
      if (end == std::string_view::npos) continue;
      given_ = seen + end + 1;
      return std::string_view(buffer_).substr(0, given_);
    }
  }

 private:
  static constexpr size_t kBlock = size_t{1} << 18;

  bool read_more() {
    const size_t before = buffer_.size();
    buffer_.resize(before + kBlock);
    ssize_t got = -1;
    do {
      got = ::read(descriptor_, buffer_.data() + before, kBlock);
    } while (got < 0 && errno == EINTR);
    FUNNEL_CHECK_INPUT(got >= 0, "standard input: cannot read: ", std::strerror(errno));
    buffer_.resize(before + static_cast<size_t>(got));
    return got > 0;
  }

  int descriptor_;
  std::string buffer_;
  size_t given_ = 0;
};

// Writes everything. False when nobody reads any more.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(descriptor, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EPIPE) return false;
    if (put < 0) throw Error(concat("standard output: cannot write: ", std::strerror(errno)));
    text.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

class LineEncoder {
 public:
  explicit LineEncoder(const EncodeOptions& options)
      : vocabulary_(Vocabulary::read(options.vocab)),
        tokenizer_(vocabulary_, options.tokenizer.config()),
        pieces_(options.pieces) {}

  // Appends the ids or pieces of the lines, a line each.
  void encode(std::string_view lines, std::string& out) {
    while (!lines.empty()) {
      const size_t end = std::min(lines.find('\n'), lines.size());
      ids_.clear();
      tokenizer_.encode(lines.substr(0, end), {"standard input", ++line_}, ids_);
      lines.remove_prefix(std::min(end + 1, lines.size()));
      pieces_ ? append_pieces(out) : append_ids(out);
    }
  }

 private:
  void append_pieces(std::string& out) const {
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (i > 0) out += ' ';
      out += vocabulary_.piece(ids_[i]);
    }
    out += '\n';
  }

  void append_ids(std::string& out) const {
    constexpr size_t kDigits = 10;  // of the largest id
    const size_t before = out.size();
    out.resize(before + ids_.size() * (kDigits + 1) + 1);
    char* at = out.data() + before;
    for (const int32_t id : ids_) {
      at = std::to_chars(at, at + kDigits, id).ptr;
      *at++ = ' ';
    }
    // The end of the line takes the place of the last space.
    if (!ids_.empty()) --at;
    *at++ = '\n';
    out.resize(static_cast<size_t>(at - out.data()));
  }

  Vocabulary vocabulary_;
  Tokenizer tokenizer_;
  bool pieces_;
  int64_t line_ = 0;
  std::vector<int32_t> ids_;
};

void run(const EncodeOptions& options) {
  // A reader that has seen enough, as `head`, is no failure.
  std::signal(SIGPIPE, SIG_IGN);
  LineEncoder encoder(options);
  LineBlocks input(STDIN_FILENO);
  std::string out;
  while (true) {
    const std::string_view lines = input.next();
    if (lines.empty()) return;
    out.clear();
    try {
      encoder.encode(lines, out);
    } catch (const Error&) {
      write_all(STDOUT_FILENO, out);
      throw;
    }
    if (!write_all(STDOUT_FILENO, out)) return;
  }
}

}  // namespace

void add_encode(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "encode", "Tokenise lines of standard input: a line of ids each on standard output");
  const auto options = std::make_shared<EncodeOptions>();
  command->add_option("--vocab", options->vocab, "Vocabulary: BERT's vocab.txt or of `vocab`")
      ->required();
  add_tokenizer_options(*command, options->tokenizer);
  command->add_flag("--pieces", options->pieces, "Write the pieces themselves instead of ids");
  command->callback([options] { run(*options); });
}

}  // namespace funnel::shard_tool
