// SPDX-License-Identifier: Apache-2.0
// Deals the numbers 0, 1, 2, ... out to parts by weight, as evenly as whole numbers allow: among
// any n numbers in a row a part has its share of n, give or take one for every part dealt before it
// and one more. A pure function in integers: the same on every machine, in constant time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/error.h"

namespace funnel {

class Proportions {
 public:
  // Weights of at least 0, not all 0.
  explicit Proportions(std::span<const double> weights) {
    double rest = 0;
    for (const double weight : weights) rest += weight;
    FUNNEL_CHECK(rest > 0, "proportions: expected a weight above 0");
    for (const double weight : weights) {
      // Rounded up, so that whole weights w of a whole sum s come out as exactly w in every s.
      const double share = rest > 0 ? std::ceil(std::min(1.0, weight / rest) * kOne) : 0;
      shares_.push_back(static_cast<uint64_t>(share));
      rest -= weight;
    }
    while (shares_.size() > 1 && shares_.back() == 0) shares_.pop_back();
    shares_.back() = uint64_t{1} << 32;
  }

  // How many of 0 .. n-1 are part's.
  int64_t before(int64_t part, int64_t n) const {
    int64_t rest = n;
    for (int64_t k = 0; k < size(); ++k) {
      const int64_t taken = share_of(k, rest);
      if (k == part) return taken;
      rest -= taken;
    }
    return 0;
  }

  struct Place {
    int64_t part;
    int64_t index;  // how many of the part's numbers come before
    friend bool operator==(const Place&, const Place&) = default;
  };
  // Whose number n is.
  Place at(int64_t n) const {
    int64_t part = 0;
    for (;; ++part) {
      const int64_t taken = share_of(part, n);
      if (share_of(part, n + 1) > taken) return {part, taken};
      n -= taken;
    }
  }

 private:
  static constexpr double kOne = 4294967296.0;  // a whole share: 2^32

  int64_t size() const { return static_cast<int64_t>(shares_.size()); }
  // Part k's share of the n numbers that the parts before it have left over.
  int64_t share_of(int64_t k, int64_t n) const {
    const uint64_t share = shares_[static_cast<size_t>(k)];
    const auto high = static_cast<uint64_t>(n) >> 32, low = static_cast<uint64_t>(n) & 0xffffffffu;
    return static_cast<int64_t>(high * share + (low * share >> 32));
  }

  std::vector<uint64_t> shares_;  // of what the parts before leave over, in units of 2^-32
};

}  // namespace funnel
