// SPDX-License-Identifier: Apache-2.0
// Lines of a byte source: a view of each, valid until the next, without its line feed. Knows at
// which byte of the text a line begins.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/byte_source.h"

namespace funnel {

class LineReader {
 public:
  static constexpr int64_t kLongestLine = int64_t{1} << 28;

  // `begin` is the position of the source's first byte in the text; `name` is for errors.
  LineReader(std::unique_ptr<ByteSource> source, std::string name, int64_t begin = 0);

  // The next line, or false at the end. Throws an input error naming the source for a line of more
  // than kLongestLine bytes, which is no text.
  bool next(std::string_view& line);

  int64_t line_begin() const { return line_begin_; }  // of the line that next() gave
  int64_t taken() const { return source_->taken(); }  // bytes of the file

 private:
  bool fill();

  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<char> buffer_;
  size_t at_ = 0;      // of the next line in the buffer
  size_t filled_ = 0;  // bytes in the buffer
  int64_t position_;   // of buffer_[at_] in the text
  int64_t line_begin_ = 0;
};

}  // namespace funnel
