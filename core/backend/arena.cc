// SPDX-License-Identifier: Apache-2.0
#include "core/backend/arena.h"

#include <algorithm>

namespace funnel {
namespace {

constexpr int64_t kFirstChunkBytes = int64_t{1} << 20;

}  // namespace

char* Arena::allocate(int64_t bytes) {
  bytes = align_up(std::max<int64_t>(bytes, 1));
  while (current_ < chunks_.size() && used_ + bytes > chunks_[current_].bytes()) {
    earlier_ += chunks_[current_].bytes();
    ++current_;
    used_ = 0;
  }
  if (current_ == chunks_.size()) {
    const int64_t last = chunks_.empty() ? kFirstChunkBytes / 2 : chunks_.back().bytes();
    chunks_.emplace_back(device_, std::max(bytes, 2 * last), purpose_);
  }
  char* piece = chunks_[current_].data() + used_;
  used_ += bytes;
  high_water_ = std::max(high_water_, earlier_ + used_);
  return piece;
}

Tensor Arena::tensor(Shape shape, DType dtype) {
  return Tensor(allocate(shape.elements() * size_of(dtype)), shape, dtype, device_);
}

void Arena::reset() {
  if (chunks_.size() > 1) {
    chunks_.clear();
    chunks_.emplace_back(device_, align_up(high_water_), purpose_);
  }
  current_ = 0;
  used_ = 0;
  earlier_ = 0;
}

void Arena::rewind(Mark mark) {
  FUNNEL_CHECK(mark.chunk < current_ || (mark.chunk == current_ && mark.used <= used_),
               "arena: rewinds to a mark that lies ahead");
  while (current_ > mark.chunk) {
    --current_;
    earlier_ -= chunks_[current_].bytes();
  }
  used_ = mark.used;
}

}  // namespace funnel
