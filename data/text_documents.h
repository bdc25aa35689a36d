// SPDX-License-Identifier: Apache-2.0
// Documents of plain text files: a sentence or paragraph a line, an empty line between documents.
// The end of a file also ends its document (laiguokun/Funnel-Transformer's TensorFlow code lets it
// run on into the next file, and loses the very last one).
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_words.h"

namespace funnel {

// The files meant by a list of files and folders, in the order given; a folder stands for the *.txt
// files in it and below it, by name. Throws an input error when one does not exist or has none.
std::vector<std::filesystem::path> text_files(const std::vector<std::filesystem::path>& inputs);

// A document's lines, none of them blank.
class TextDocument {
 public:
  int64_t lines() const { return static_cast<int64_t>(ends_.size()); }
  std::string_view line(int64_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[static_cast<size_t>(i - 1)];
    return std::string_view(text_).substr(begin, ends_[static_cast<size_t>(i)] - begin);
  }
  TextPlace place(int64_t i) const { return {file_, first_line_ + i}; }

  // A number in [0, 1) that depends on the text alone.
  double hash01() const;

 private:
  friend class DocumentReader;
  std::string file_;
  int64_t first_line_ = 0;
  std::string text_;
  std::vector<size_t> ends_;
};

class DocumentReader {
 public:
  explicit DocumentReader(std::vector<std::filesystem::path> files) : files_(std::move(files)) {}

  // The next document, or false at the end. Throws an input error naming a file it cannot read.
  bool next(TextDocument& document);

  int64_t bytes() const { return bytes_; }  // read so far

 private:
  bool open_next();

  std::vector<std::filesystem::path> files_;
  size_t opened_ = 0;  // files opened so far; the last of them is being read
  std::ifstream in_;
  int64_t line_ = 0;
  int64_t bytes_ = 0;
  std::string text_;
};

}  // namespace funnel
