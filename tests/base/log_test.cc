// SPDX-License-Identifier: Apache-2.0
// Oracle: the contract of log.h.
#include "core/base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/base/error.h"

namespace funnel {
namespace {

std::string logged(int rank, const std::filesystem::path& file = {}) {
  ::testing::internal::CaptureStderr();
  open_log(rank, file);
  log_info("an info");
  log_warning("a warning");
  log_error("an error");
  return ::testing::internal::GetCapturedStderr();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Log, RankZeroInformsAndEveryRankWarns) {
  const std::string zero = logged(0);
  EXPECT_TRUE(has(zero, "an info") && has(zero, "a warning") && has(zero, "an error")) << zero;
  EXPECT_FALSE(has(zero, "[rank")) << zero;
  const std::string one = logged(1);
  EXPECT_FALSE(has(one, "an info")) << one;
  EXPECT_TRUE(has(one, "[rank 1] a warning") && has(one, "[rank 1] an error")) << one;
}

TEST(Log, FileIsAppendedTo) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / concat("funnel_log_test_", ::getpid(), ".txt");
  logged(0, file);
  logged(0, file);
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const size_t first = text.find("an info");
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(text.find("an info", first + 1), std::string::npos);
  open_log(0);
  std::filesystem::remove(file);
}

TEST(Log, UnwritableFileIsABadInput) {
  try {
    open_log(0, "/dev/null/log.txt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
    EXPECT_TRUE(has(error.what(), "/dev/null/log.txt")) << error.what();
  }
}

}  // namespace
}  // namespace funnel
