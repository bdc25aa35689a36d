// SPDX-License-Identifier: Apache-2.0
#include "data/text_documents.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/random.h"

namespace funnel {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\v\f") == std::string_view::npos;
}

}  // namespace

double TextDocument::hash01() const {
  return static_cast<double>(Site::mix((Site("held out") / text_).hash()) >> 11) * 0x1p-53;
}

void TextDocument::add_line(std::string_view line) {
  text_ += line;
  ends_.push_back(text_.size());
  text_ += '\n';
}

DocumentReader::DocumentReader(std::vector<TextPiece> pieces, TextOptions options)
    : pieces_(std::move(pieces)), options_(std::move(options)), json_(options_.text_field) {}

DocumentReader::DocumentReader(TextFile file, std::string bytes, TextOptions options)
    : DocumentReader(std::vector<TextPiece>{TextPiece(std::move(file))}, std::move(options)) {
  opened_ = 1;
  begin_piece(ByteSource::of_bytes(std::move(bytes), piece().file.path.string()), 0);
}

int64_t DocumentReader::taken() const {
  return taken_before_ + (lines_ ? lines_->taken() : 0);
}

bool DocumentReader::open_next() {
  if (opened_ == pieces_.size()) return false;
  const TextPiece& next = pieces_[opened_++];
  FUNNEL_CHECK_INPUT(next.file.format != TextFormat::hdf5, next.file.path.string(),
                     ": expected text, found an HDF5 file");
  // One byte early: whether a line begins at `begin` shows in the byte before.
  const int64_t begin = std::max<int64_t>(next.begin - 1, 0);
  taken_before_ = taken();
  begin_piece(ByteSource::open(next.file.path, begin), begin);
  return true;
}

void DocumentReader::begin_piece(std::unique_ptr<ByteSource> source, int64_t begin) {
  lines_ = std::make_unique<LineReader>(std::move(source), name_of_input(piece().file.path), begin);
  line_ = 0;
  piece_done_ = piece().begin >= piece().end;
  if (piece_done_ || piece().begin == 0) return;
  std::string_view line;
  if (!next_line(line) || piece().file.format == TextFormat::json_lines) return;
  while (next_line(line)) {
    if (!is_blank(line)) continue;
    piece_done_ = lines_->line_begin() >= piece().end;
    return;
  }
}

// The next line of the piece's file, whose beginning may lie behind the piece's end.
bool DocumentReader::next_line(std::string_view& line) {
  if (!lines_->next(line)) {
    piece_done_ = true;
    return false;
  }
  ++line_;
  return true;
}

bool DocumentReader::next_plain(TextDocument& document) {
  std::string_view line;
  while (next_line(line)) {
    bytes_ += static_cast<int64_t>(line.size()) + 1;
    if (is_blank(line)) {
      piece_done_ = lines_->line_begin() >= piece().end;
      if (!document.ends_.empty()) return true;
      if (piece_done_) return false;
      continue;
    }
    if (document.ends_.empty()) document.first_line_ = line_;
    document.add_line(line);
    if (static_cast<int64_t>(document.text_.size()) >= options_.longest_document) return true;
  }
  return !document.ends_.empty();
}

bool DocumentReader::next_json(TextDocument& document) {
  std::string_view line, text;
  while (next_line(line)) {
    if (lines_->line_begin() >= piece().end) {
      piece_done_ = true;
      return false;
    }
    bytes_ += static_cast<int64_t>(line.size()) + 1;
    if (is_blank(line)) continue;
    if (const std::string fault = json_.parse(line, text); !fault.empty()) {
      bad_line(fault);
      continue;
    }
    document.first_line_ = line_;
    for (size_t at = 0; at < text.size();) {
      const std::string_view sentence = text.substr(at, text.find('\n', at) - at);
      if (!is_blank(sentence)) document.add_line(sentence);
      at += sentence.size() + 1;
    }
    if (!document.ends_.empty()) return true;
  }
  return false;
}

void DocumentReader::bad_line(const std::string& fault) {
  const auto message = [&] {
    return concat(name_of_input(piece().file.path), ":", lines_before_piece() + line_, ": ", fault);
  };
  if (!options_.skip_bad) throw_usage(message());
  if (bad_lines_++ == 0) first_bad_line_ = message();
}

bool DocumentReader::next(TextDocument& document) {
  document.text_.clear();
  document.ends_.clear();
  while (true) {
    if (piece_done_ && !open_next()) return false;
    if (piece_done_) continue;
    const bool json = piece().file.format == TextFormat::json_lines;
    document.file_ = name_of_input(piece().file.path);
    document.line_step_ = json ? 0 : 1;
    if (json ? next_json(document) : next_plain(document)) return true;
  }
}

int64_t DocumentReader::lines_before_piece() const {
  if (piece().begin == 0) return 0;
  // The piece's lines are counted from the line that holds the byte before it.
  const int64_t end = piece().begin - 1;
  const std::unique_ptr<ByteSource> source = ByteSource::open(piece().file.path);
  std::vector<char> buffer(size_t{1} << 20);
  int64_t lines = 0;
  for (int64_t at = 0; at < end;) {
    const auto wanted = std::min<int64_t>(static_cast<int64_t>(buffer.size()), end - at);
    const size_t got = source->read(std::span(buffer).first(static_cast<size_t>(wanted)));
    if (got == 0) break;
    lines += std::count(buffer.begin(), buffer.begin() + static_cast<int64_t>(got), '\n');
    at += static_cast<int64_t>(got);
  }
  return lines;
}

void DocumentReader::count_lines_before(TextDocument& document) const {
  document.first_line_ += lines_before_piece();
}

}  // namespace funnel
