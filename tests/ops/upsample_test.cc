// SPDX-License-Identifier: Apache-2.0
// Oracle: explicit lists of copies (tests/reference/pooling.h).
#include "core/ops/upsample.h"

#include <gtest/gtest.h>

#include "core/ops/pooling.h"
#include "tests/reference/pooling.h"

namespace funnel::testing {
namespace {

struct Case {
  int64_t seq, pooled, stride;
  bool separate_cls;
};

// Every length that `blocks` of pooling can leave, in all modes.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (int64_t seq = 1; seq <= 20; ++seq) {
    for (const bool separate_cls : {true, false}) {
      for (const bool truncate : {true, false}) {
        int64_t pooled = seq;
        for (int64_t stride = 1; stride <= 8; stride *= 2) {
          all.push_back({seq, pooled, stride, separate_cls});
          pooled = PoolWindows{pooled, separate_cls, truncate}.pooled();
        }
      }
    }
  }
  return all;
}

std::string describe(const Case& c) {
  return "seq " + std::to_string(c.seq) + ", pooled " + std::to_string(c.pooled) + ", stride " +
         std::to_string(c.stride) + (c.separate_cls ? ", separate CLS" : "");
}

TEST(Upsample, SourceAndCopiesAgreeWithEnumeration) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(describe(c));
    const Upsample upsample{c.stride, c.separate_cls};
    const auto copies = ref::upsample_copies(c.seq, c.pooled, c.stride, c.separate_cls);
    ref::Integers source(c.seq, c.pooled);
    for (int64_t p = 0; p < c.pooled; ++p) {
      for (int64_t t : copies[p]) source[t] = p;
      if (!copies[p].empty()) {
        EXPECT_EQ(upsample.first_copy(p), copies[p].front());
        EXPECT_EQ(upsample.end_of_copies(p, c.seq), copies[p].back() + 1);
      }
    }
    for (int64_t t = 0; t < c.seq; ++t) {
      EXPECT_EQ(std::min(upsample.source(t), c.pooled), source[t]) << "position " << t;
    }
  }
}

// The last three of 512 positions have no pooled vector when three blocks truncate.
TEST(Upsample, TruncatedTailOfTheLargeModel) {
  const Upsample upsample{.stride = 4, .separate_cls = true};
  EXPECT_EQ(upsample.source(508), 127);
  for (int64_t t = 509; t < 512; ++t) EXPECT_GE(upsample.source(t), 128);
}

}  // namespace
}  // namespace funnel::testing
