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

std::vector<std::filesystem::path> text_files(const std::vector<std::filesystem::path>& inputs) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const fs::path& input : inputs) {
    FUNNEL_CHECK_INPUT(fs::exists(input), input.string(), ": no such file or folder");
    if (!fs::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    std::vector<fs::path> inside;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(input)) {
      if (entry.is_regular_file() && entry.path().extension() == ".txt") {
        inside.push_back(entry.path());
      }
    }
    FUNNEL_CHECK_INPUT(!inside.empty(), input.string(), ": expected *.txt files, found none");
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

double TextDocument::hash01() const {
  return static_cast<double>(Site::mix((Site("held out") / text_).hash()) >> 11) * 0x1p-53;
}

bool DocumentReader::open_next() {
  if (opened_ == files_.size()) return false;
  const std::filesystem::path& path = files_[opened_++];
  in_.close();
  in_.clear();
  in_.open(path, std::ios::binary);
  FUNNEL_CHECK_INPUT(in_.good() && !std::filesystem::is_directory(path), path.string(),
                     ": cannot open");
  line_ = 0;
  return true;
}

bool DocumentReader::next(TextDocument& document) {
  document.text_.clear();
  document.ends_.clear();
  if (opened_ == 0 && !open_next()) return false;
  while (true) {
    if (!std::getline(in_, text_)) {
      FUNNEL_CHECK_INPUT(!in_.bad(), files_[opened_ - 1].string(), ": cannot read line ",
                         line_ + 1);
      if (!document.ends_.empty()) return true;
      if (!open_next()) return false;
      continue;
    }
    ++line_;
    bytes_ += static_cast<int64_t>(text_.size()) + 1;
    if (is_blank(text_)) {
      if (!document.ends_.empty()) return true;
      continue;
    }
    if (document.ends_.empty()) {
      document.file_ = files_[opened_ - 1].string();
      document.first_line_ = line_;
    }
    document.text_ += text_;
    document.ends_.push_back(document.text_.size());
  }
}

}  // namespace funnel
