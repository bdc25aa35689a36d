// SPDX-License-Identifier: Apache-2.0
#include "data/line_reader.h"

#include <cstring>

#include "core/base/error.h"

namespace funnel {

LineReader::LineReader(std::unique_ptr<ByteSource> source, std::string name, int64_t begin)
    : source_(std::move(source)),
      name_(std::move(name)),
      buffer_(size_t{1} << 16),
      position_(begin),
      line_begin_(begin) {}

// Makes room behind the unfinished line and reads into it; false at the end of the source.
bool LineReader::fill() {
  if (at_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + at_, filled_ - at_);
    filled_ -= at_;
    at_ = 0;
  }
  if (filled_ == buffer_.size()) {
    FUNNEL_CHECK_INPUT(static_cast<int64_t>(filled_) < kLongestLine, name_,
                       ": expected lines of at most ", kLongestLine,
                       " bytes, found a longer one at byte ", position_, "; is this text?");
    buffer_.resize(buffer_.size() * 2);
  }
  const size_t got = source_->read(std::span(buffer_).subspan(filled_));
  filled_ += got;
  return got > 0;
}

bool LineReader::next(std::string_view& line) {
  size_t searched = 0;
  while (true) {
    const char* begin = buffer_.data() + at_;
    const void* found = std::memchr(begin + searched, '\n', filled_ - at_ - searched);
    const size_t size = found == nullptr ? filled_ - at_ : static_cast<const char*>(found) - begin;
    if (found == nullptr) {
      searched = size;
      if (fill()) continue;
      if (size == 0) return false;
    }
    line = std::string_view(buffer_.data() + at_, size);
    const size_t step = size + (found != nullptr ? 1 : 0);
    line_begin_ = position_;
    position_ += static_cast<int64_t>(step);
    at_ += step;
    return true;
  }
}

}  // namespace funnel
