// SPDX-License-Identifier: Apache-2.0
// Oracles: a digest worked out by a plain loop, and what a digest is for: no flipped bit escapes
// it.
#include "core/ops/digest.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "core/base/random.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

std::array<double, 4> digest_of(const std::vector<double>& values) {
  Context& context = context_under_test();
  const auto n = static_cast<int64_t>(values.size());
  const OwnedTensor parts({4}, DType::f64);
  digest_bits(context, OwnedTensor({n}, DType::f32, values), parts);
  std::array<double, 4> found;
  for (int i = 0; i < 4; ++i) found[i] = parts.values()[i];
  return found;
}

TEST(Digest, IsTheSumOverWordsAndPlaces) {
  for (const int64_t n : {1, 31, 4096, 4097, 10001}) {
    std::vector<double> values(n);
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto value = static_cast<float>(0.37 * static_cast<double>(i % 19) - 2);
      values[i] = value;
      uint32_t word = 0;
      std::memcpy(&word, &value, sizeof(word));
      sum += Site::mix(static_cast<uint64_t>(i) << 32 | word);
    }
    const uint64_t digest = Site::mix(sum + static_cast<uint64_t>(n));
    const std::array<double, 4> found = digest_of(values);
    for (int part = 0; part < 4; ++part) {
      EXPECT_EQ(found[part], static_cast<double>((digest >> (16 * part)) & 0xffff)) << n;
    }
  }
}

TEST(Digest, SeesEveryChange) {
  std::vector<double> values(67, 1.0);
  std::set<std::array<double, 4>> digests{digest_of(values)};
  for (double& value : values) {
    value = 1.0 + 0x1p-23;
    digests.insert(digest_of(values));
    value = 1.0;
  }
  EXPECT_EQ(digests.size(), values.size() + 1);
  EXPECT_TRUE(digests.contains(digest_of(values)));
  values.pop_back();
  EXPECT_FALSE(digests.contains(digest_of(values)));
}

}  // namespace
}  // namespace funnel::testing
