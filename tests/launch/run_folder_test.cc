// SPDX-License-Identifier: Apache-2.0
// Run folders, their lock, and signals. Oracle: what the header promises, tried with two holders,
// foreign contents and processes that die.
#include "launch/run_folder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/base/error.h"
#include "launch/signals.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "funnel-run-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  static std::string refusal(const fs::path& path) {
    try {
      RunFolder folder(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
      return error.what();
    }
    return "accepted";
  }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

  fs::path root_;
};

TEST_F(RunFolderTest, KeepsItsRunId) {
  const fs::path path = root_ / "a" / "run";
  std::string id;
  {
    RunFolder folder(path);
    id = folder.run_id();
    EXPECT_TRUE(folder.is_new());
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(folder.checkpoints(), path / "checkpoints");
  }
  write(path / "config.textproto", "");
  RunFolder again(path);
  EXPECT_FALSE(again.is_new());
  EXPECT_EQ(again.run_id(), id);
  EXPECT_NE(RunFolder(root_ / "other").run_id(), id);
}

TEST_F(RunFolderTest, OneJobAtATime) {
  const fs::path path = root_ / "run";
  {
    RunFolder first(path);
    const std::string message = refusal(path);
    EXPECT_TRUE(
        message.starts_with("run folder " + path.string() + ": another job runs in it (host "))
        << message;
    EXPECT_NE(message.find(concat("process ", ::getpid(), ", since ")), std::string::npos)
        << message;
  }
  EXPECT_EQ(refusal(path), "accepted");
}

TEST_F(RunFolderTest, ADeadJobsLockIsTakenOver) {
  const fs::path path = root_ / "run";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    RunFolder folder(path);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_NE(refusal(path).find(concat("process ", child)), std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(refusal(path), "accepted");
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RunFolderTest, AFolderOfSomebodyElse) {
  const fs::path path = root_ / "photos";
  fs::create_directory(path);
  write(path / "me.jpeg", "");
  EXPECT_EQ(refusal(path), "run folder " + path.string() +
                               ": expected an empty folder or one of an earlier run, found me.jpeg "
                               "and no file run_id");
  EXPECT_FALSE(fs::exists(path / "lock"));  // nothing is left there
}

TEST_F(RunFolderTest, AnEmptyFolderAndAnUnfinishedStartWillDo) {
  const fs::path path = root_ / "run";
  fs::create_directory(path);
  write(path / "lock", "host gone\n");
  write(path / ".tmp-run_id-1", "0123");
  EXPECT_EQ(refusal(path), "accepted");
}

TEST_F(RunFolderTest, APlaceThatCannotBeWritten) {
  write(root_ / "file", "");
  const std::string below = refusal(root_ / "file" / "run");
  EXPECT_TRUE(
      below.starts_with("run folder " + (root_ / "file" / "run").string() + ": cannot create: "))
      << below;
  EXPECT_NE(refusal(root_ / "file"), "accepted");
  EXPECT_NE(refusal("/proc/run"), "accepted");
}

TEST_F(RunFolderTest, ADamagedRunId) {
  const fs::path path = root_ / "run";
  { RunFolder folder(path); }
  for (const char* text : {"", "\n", "0123\n", "0123456789abcdef0123456789abcdeX\n",
                           "0123456789abcdef0123456789abcdef"}) {
    write(path / "run_id", text);
    EXPECT_NE(refusal(path).find("expected 32 hexadecimal digits"), std::string::npos) << text;
  }
}

TEST(Signals, OnlySetAFlag) {
  EXPECT_FALSE(stop_requested());
  catch_stop_signals();
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    ASSERT_EQ(::raise(signal), 0);
    EXPECT_TRUE(stop_requested());
    EXPECT_EQ(stop_signal(), signal);
    ASSERT_EQ(::raise(SIGTERM), 0);  // a second one changes nothing
    EXPECT_EQ(stop_signal(), signal);
    clear_stop_request();
    EXPECT_FALSE(stop_requested());
    EXPECT_EQ(stop_signal(), 0);
  }
}

}  // namespace
}  // namespace funnel
