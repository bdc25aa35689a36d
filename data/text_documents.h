// SPDX-License-Identifier: Apache-2.0
// The documents of text files. Plain text: a sentence or paragraph a line, an empty line between
// documents. JSON lines: an object a line, whose text field is a document. The end of a file also
// ends its document (laiguokun/Funnel-Transformer's TensorFlow code lets it run on into the next
// file, and loses the very last one).
//
// A big file may be read in pieces, cut at any bytes: a cut stands for the first border of
// documents at or behind it, so the pieces' documents are together exactly those of the file.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/json_lines.h"
#include "data/line_reader.h"
#include "data/text_files.h"
#include "data/tokenizer_words.h"

namespace funnel {

// A document's lines, none of them blank.
class TextDocument {
 public:
  int64_t lines() const { return static_cast<int64_t>(ends_.size()); }
  std::string_view line(int64_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[static_cast<size_t>(i - 1)] + 1;
    return std::string_view(text_).substr(begin, ends_[static_cast<size_t>(i)] - begin);
  }
  // The line in the file, counted from 1; from the beginning of the piece in a piece that does not
  // begin its file, until DocumentReader::count_lines_before().
  TextPlace place(int64_t i) const { return {file_, first_line_ + i * line_step_}; }

  // All lines, each ended by a line feed.
  std::string_view text() const { return text_; }

  // A number in [0, 1) that depends on the text alone.
  double hash01() const;

 private:
  friend class DocumentReader;
  void add_line(std::string_view line);

  std::string file_;
  int64_t first_line_ = 0;
  int64_t line_step_ = 1;  // 0: all lines come from one of the file
  std::string text_;
  std::vector<size_t> ends_;
};

// Bytes [begin, end) of a file.
struct TextPiece {
  TextPiece(TextFile whole_file) : file(std::move(whole_file)) {}
  TextPiece(TextFile of_file, int64_t first, int64_t last)
      : file(std::move(of_file)), begin(first), end(last) {}

  TextFile file;
  int64_t begin = 0;
  int64_t end = std::numeric_limits<int64_t>::max();
};

struct TextOptions {
  std::string text_field = "text";  // of JSON lines
  bool skip_bad = false;            // pass over bad JSON lines instead of throwing, and count them
  int64_t longest_document = int64_t{1} << 26;  // bytes; longer ones are cut at the end of a line
};

class DocumentReader {
 public:
  explicit DocumentReader(std::vector<TextPiece> pieces, TextOptions options = {});
  explicit DocumentReader(const std::vector<TextFile>& files, TextOptions options = {})
      : DocumentReader(std::vector<TextPiece>(files.begin(), files.end()), std::move(options)) {}

  // Documents of bytes in memory, for which `file` stands.
  DocumentReader(TextFile file, std::string bytes, TextOptions options = {});

  // The next document, or false at the end. Throws an input error naming a file that it cannot read
  // (damaged or truncated ones included), or file and line of a bad JSON line.
  bool next(TextDocument& document);

  // For the words of an error about the document that next() gave: makes its place() count from
  // the beginning of the file, by reading what lies before the piece.
  void count_lines_before(TextDocument& document) const;

  int64_t bytes() const { return bytes_; }          // of text read so far
  int64_t taken() const;                            // bytes of the files read so far, as stored
  int64_t bad_lines() const { return bad_lines_; }  // skipped
  const std::string& first_bad_line() const { return first_bad_line_; }  // its place and fault

 private:
  const TextPiece& piece() const { return pieces_[opened_ - 1]; }
  bool open_next();
  void begin_piece(std::unique_ptr<ByteSource> source, int64_t begin);
  bool next_line(std::string_view& line);
  bool next_plain(TextDocument& document);
  bool next_json(TextDocument& document);
  void bad_line(const std::string& fault);
  int64_t lines_before_piece() const;

  std::vector<TextPiece> pieces_;
  TextOptions options_;
  JsonLineParser json_;
  size_t opened_ = 0;  // pieces opened so far; the last of them is being read
  std::unique_ptr<LineReader> lines_;
  bool piece_done_ = true;
  int64_t line_ = 0;  // in the piece
  int64_t bytes_ = 0;
  int64_t taken_before_ = 0;  // in pieces read to their end
  int64_t bad_lines_ = 0;
  std::string first_bad_line_;
};

}  // namespace funnel
