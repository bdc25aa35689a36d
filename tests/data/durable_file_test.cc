// SPDX-License-Identifier: Apache-2.0
// Oracle: what is on the disk afterwards, read back with the standard library.
#include "data/durable_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/data/expect_error.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

int64_t entries(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

TEST(DurableFile, RoundTripAndReplace) {
  const testing::TemporaryFolder folder;
  const std::string first(100'000, 'a'), second = "short";
  write_durably(folder / "file", first);
  EXPECT_EQ(read_text_file(folder / "file"), first);
  write_durably(folder / "file", second);
  EXPECT_EQ(read_text_file(folder / "file"), second);
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(DurableFile, MissingFolderIsNamed) {
  testing::expect_error(ExitCode::kFailure, {"/nowhere/file", "No such file"},
                        [] { write_durably("/nowhere/file", std::string("x")); });
  testing::expect_error(ExitCode::kUsage, {"/nowhere/file", "No such file"},
                        [] { read_file("/nowhere/file"); });
}

// A limit on the size of files makes write() fail half-way, as a full disk does.
TEST(DurableFile, FailedWriteLeavesTheOldFile) {
  const testing::TemporaryFolder folder;
  write_durably(folder / "file", std::string("old"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  testing::expect_error(ExitCode::kFailure, {"file", "cannot write", "File too large"},
                        [&] { write_durably(folder / "file", std::string(5000, 'n')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(read_text_file(folder / "file"), "old");
  EXPECT_EQ(entries(folder.path()), 1) << "the temporary file is still there";
}

TEST(DurableFile, FullDiskIsNamed) {
  // /dev/full cannot be renamed over; its folder refuses files for ordinary users, and a write to
  // it reports a full disk for everybody.
  const testing::TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", folder / concat(".tmp-file-", ::getpid()));
  testing::expect_error(ExitCode::kFailure, {"file", "No space left"},
                        [&] { write_durably(folder / "file", std::string("x")); });
  EXPECT_EQ(entries(folder.path()), 0);
}

TEST(DurableFile, FolderIsNoFile) {
  const testing::TemporaryFolder folder;
  testing::expect_error(ExitCode::kUsage, {"expected a regular file"},
                        [&] { read_file(folder.path()); });
}

}  // namespace
}  // namespace funnel
