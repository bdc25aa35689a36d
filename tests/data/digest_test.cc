// SPDX-License-Identifier: Apache-2.0
// Oracle: the examples of FIPS 180-4 (NIST), and the command sha256sum for the empty input.
#include "data/digest.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "data/digest_set.h"
#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(sha256(std::string()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(std::string("abc")), kAbc);
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, FileEqualsBytes) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(sha256_of_file(folder.file("abc", "abc")), kAbc);
  const std::string big(3'000'001, 'x');  // more than one piece
  EXPECT_EQ(sha256_of_file(folder.file("big", big)), sha256(big));
}

TEST(Digest, FirstBytesAsNumbers) {
  // The digest of "abc" above, read as little-endian words.
  EXPECT_EQ(digest128("abc"), (Digest128{0xeacf018fbf1678ba, 0x2322ae5dde404141}));
}

// Oracle: std::set. The smallest digests all want the first places, and collide.
TEST(DigestSet, TellsWhatIsNew) {
  std::mt19937_64 random(5);
  for (const int64_t most : {1, 2, 3, 1000}) {
    DigestSet digests(most);
    std::set<Digest128> expected;
    for (int64_t i = 0; i < 20 * most; ++i) {
      const Digest128 digest{random() % 7, random() % static_cast<uint64_t>(most)};
      if (static_cast<int64_t>(expected.size()) == most && !expected.contains(digest)) continue;
      EXPECT_EQ(digests.insert(digest), expected.insert(digest).second);
    }
  }
}

TEST(DigestSet, ZeroIsADigest) {
  DigestSet digests(2);
  EXPECT_TRUE(digests.insert({0, 0}));
  EXPECT_FALSE(digests.insert({0, 0}));
}

TEST(Digest, MissingFileIsNamed) {
  testing::expect_error(ExitCode::kUsage, {"/nowhere/x", "No such file"},
                        [] { sha256_of_file("/nowhere/x"); });
}

}  // namespace
}  // namespace funnel
