// SPDX-License-Identifier: Apache-2.0
// Oracle: the contract of error.h.
#include "core/base/error.h"

#include <gtest/gtest.h>

#include <functional>

namespace funnel {
namespace {

Error thrown_by(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return Error("nothing was thrown");
}

TEST(Error, CheckNamesPlaceAndParts) {
  const int rows = 7;
  const Error error =
      thrown_by([&] { FUNNEL_CHECK(rows == 8, "pool: expected 8 rows, found ", rows); });
  const std::string message = error.what();
  EXPECT_NE(message.find("pool: expected 8 rows, found 7"), std::string::npos) << message;
  EXPECT_NE(message.find("error_test.cc"), std::string::npos) << message;
  EXPECT_EQ(error.exit_code(), ExitCode::kFailure);
}

TEST(Error, InputCheckStandsAloneAndIsUsage) {
  const Error error =
      thrown_by([] { FUNNEL_CHECK_INPUT(false, "run.textproto: seq_len: expected 1"); });
  EXPECT_STREQ(error.what(), "run.textproto: seq_len: expected 1");
  EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
}

TEST(Error, PassingCheckEvaluatesItsConditionOnceAndNoParts) {
  int conditions = 0, parts = 0;
  FUNNEL_CHECK(++conditions == 1, ++parts);
  FUNNEL_CHECK_INPUT(++conditions == 2, ++parts);
  EXPECT_EQ(conditions, 2);
  EXPECT_EQ(parts, 0);
}

TEST(Error, ExitCodesAreTheDocumentedOnes) {
  EXPECT_EQ(static_cast<int>(ExitCode::kDone), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kSaved), 75);
  EXPECT_EQ(static_cast<int>(ExitCode::kHung), 86);
  EXPECT_EQ(static_cast<int>(ExitCode::kNeedsHuman), 93);
}

}  // namespace
}  // namespace funnel
