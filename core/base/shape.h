// SPDX-License-Identifier: Apache-2.0
// The extents of a tensor: rank 0 to 4, row-major, always contiguous.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "core/base/error.h"

namespace funnel {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) {
    FUNNEL_CHECK(extents.size() <= kMaxRank, "a shape has at most 4 extents, found ",
                 extents.size());
    for (int64_t extent : extents) {
      FUNNEL_CHECK(extent >= 0, "a shape's extents are not negative, found ", extent);
      extents_[rank_++] = extent;
    }
  }

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[axis]; }

  int64_t elements() const {
    int64_t product = 1;
    for (int axis = 0; axis < rank_; ++axis) product *= extents_[axis];
    return product;
  }

  // The tensor seen as a matrix: the last extent, and the product of all others.
  int64_t cols() const { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }
  int64_t rows() const {
    int64_t product = 1;
    for (int axis = 0; axis + 1 < rank_; ++axis) product *= extents_[axis];
    return product;
  }

  friend bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '[';
    for (int axis = 0; axis < shape.rank_; ++axis) {
      out << (axis == 0 ? "" : ", ") << shape.extents_[axis];
    }
    return out << ']';
  }

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace funnel
