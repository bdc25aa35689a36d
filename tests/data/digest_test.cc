// SPDX-License-Identifier: Apache-2.0
// Oracle: the examples of FIPS 180-4 (NIST), and the command sha256sum for the empty input.
#include "data/digest.h"

#include <gtest/gtest.h>

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

TEST(Digest, MissingFileIsNamed) {
  testing::expect_error(ExitCode::kUsage, {"/nowhere/x", "No such file"},
                        [] { sha256_of_file("/nowhere/x"); });
}

}  // namespace
}  // namespace funnel
