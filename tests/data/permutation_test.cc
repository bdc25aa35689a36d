// SPDX-License-Identifier: Apache-2.0
// Oracle: counting, and the chi-square statistic of a fair draw.
#include "data/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace funnel {
namespace {

std::vector<int64_t> all_of(int64_t epoch, int64_t n) {
  const Permutation permutation(RandomStream(3, Site("test"), epoch), n);
  std::vector<int64_t> list;
  for (int64_t i = 0; i < n; ++i) list.push_back(permutation(i));
  return list;
}

TEST(Permutation, HitsEveryNumberOnceAndInverts) {
  for (int64_t n = 1; n <= 300; n += n < 40 ? 1 : 13) {
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      const Permutation permutation(RandomStream(3, Site("test"), epoch), n);
      std::vector<int64_t> list = all_of(epoch, n);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(permutation.inverse(list[i]), i);
      std::sort(list.begin(), list.end());
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(list[i], i);
    }
  }
  const int64_t large = (int64_t{1} << 40) - 7;
  const Permutation permutation(RandomStream(3, Site("test"), 0), large);
  for (int64_t i = 0; i < large; i += large / 1000) {
    ASSERT_LT(permutation(i), large);
    ASSERT_EQ(permutation.inverse(permutation(i)), i);
  }
}

// How far counts lie from fair ones, in standard deviations of chi-square.
template <class Counts>
double surprise(const Counts& counts, double cells, double draws) {
  const double fair = draws / cells;
  double chi_square = (cells - static_cast<double>(counts.size())) * fair;
  for (const auto& [key, count] : counts) chi_square += (count - fair) * (count - fair) / fair;
  return (chi_square - (cells - 1)) / std::sqrt(2 * (cells - 1));
}

TEST(Permutation, SmallOnesAreAllEquallyLikely) {
  for (const auto& [n, permutations] :
       {std::pair<int64_t, double>{2, 2}, {3, 6}, {4, 24}, {5, 120}, {6, 720}}) {
    std::map<std::vector<int64_t>, int> counts;
    const int draws = 24000;
    for (int epoch = 0; epoch < draws; ++epoch) ++counts[all_of(epoch, n)];
    EXPECT_LT(surprise(counts, permutations, draws), 4.5) << n;
  }
}

TEST(Permutation, NeighboursLandAnywhere) {
  for (const int64_t n : {7, 16, 31, 128, 200}) {
    std::map<std::pair<int64_t, int64_t>, int> counts;
    const int draws = 60000;
    for (int epoch = 0; epoch < draws; ++epoch) {
      const Permutation permutation(RandomStream(4, Site("test"), epoch), n);
      ++counts[{permutation(0), permutation(1)}];
    }
    EXPECT_LT(surprise(counts, static_cast<double>(n * (n - 1)), draws), 4) << n;
  }
}

}  // namespace
}  // namespace funnel
