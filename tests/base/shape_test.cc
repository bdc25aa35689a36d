// SPDX-License-Identifier: Apache-2.0
// Oracle: the contract of shape.h.
#include "core/base/shape.h"

#include <gtest/gtest.h>

namespace funnel {
namespace {

TEST(Shape, CountsElementsRowsAndCols) {
  const Shape shape{2, 3, 5, 7};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape.elements(), 210);
  EXPECT_EQ(shape.rows(), 30);
  EXPECT_EQ(shape.cols(), 7);
  EXPECT_EQ(shape[2], 5);
}

TEST(Shape, OfRankZeroIsOneElement) {
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape().rows(), 1);
  EXPECT_EQ(Shape().cols(), 1);
}

TEST(Shape, MayBeEmpty) {
  EXPECT_EQ((Shape{3, 0}).elements(), 0);
  EXPECT_EQ((Shape{0, 3}).rows(), 0);
}

TEST(Shape, ComparesAndPrints) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_EQ(concat(Shape{2, 3}), "[2, 3]");
  EXPECT_EQ(concat(Shape()), "[]");
}

TEST(Shape, RefusesFiveExtentsAndNegativeOnes) {
  EXPECT_THROW((Shape{1, 1, 1, 1, 1}), Error);
  EXPECT_THROW((Shape{2, -1}), Error);
}

}  // namespace
}  // namespace funnel
