// SPDX-License-Identifier: Apache-2.0
// A save may be killed or may fail at any of its acts; an older or the new checkpoint is always
// whole. Oracle: the bits of the states that were saved.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>

#include "tests/launch/checkpoint_fixture.h"
#include "tests/support/thread_comm.h"

namespace funnel::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kKilled = 9;

class CheckpointCrashTest : public CheckpointTest {
 protected:
  // Runs body() in a process of its own and returns its exit code.
  template <class Body>
  static int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        body();
      } catch (const std::exception&) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // Saves `state` in a child that dies before its n-th act.
  int save_killed_before(int n, const TrainingState& state) {
    return in_child([&] {
      SoloComm comm;
      SaveOptions dying = options();
      int act = 0;
      dying.before = [&](const std::string&) {
        if (act++ == n) ::_exit(kKilled);
      };
      save_checkpoint(comm, folder_, state, dying);
    });
  }
};

TEST_F(CheckpointCrashTest, KilledBetweenAnyTwoActs) {
  save(10);
  save(20);
  std::set<int64_t> loaded;
  int acts = 0;
  while (save_killed_before(acts, OwnedState::at_step(30).state) == kKilled) {
    recover_checkpoint_folder(folder_);
    const Resumed resumed = expect_newest_is(fs::exists(folder_ / "step-00000030") ? 30 : 20);
    EXPECT_TRUE(resumed.damaged.empty());
    loaded.insert(step_of(resumed.path));
    EXPECT_TRUE(fs::exists(folder_ / "step-00000010"));
    for (const std::string& name : names_in(folder_)) {
      EXPECT_FALSE(name.starts_with(".")) << name;
    }
    ++acts;
  }
  // Folder, eight slices, manifest, rename, verify, delete.
  EXPECT_EQ(acts, 13);
  EXPECT_EQ(loaded, (std::set<int64_t>{20, 30}));
  expect_newest_is(30);
  EXPECT_EQ(names_in(folder_), (std::vector<std::string>{"step-00000020", "step-00000030"}));
}

TEST_F(CheckpointCrashTest, KilledWhileReplacing) {
  save(10);
  OwnedState other = OwnedState::at_step(11);
  other.state.step = 10;
  for (int acts = 0; save_killed_before(acts, other.state) == kKilled; ++acts) {
    recover_checkpoint_folder(folder_);
    SoloComm comm;
    OwnedState found;
    load_newest_checkpoint(comm, folder_, found.state);
    EXPECT_EQ(found.state.step, 10);
    expect_same(found,
                found.state.samples == other.state.samples ? other : OwnedState::at_step(10));
  }
}

TEST_F(CheckpointCrashTest, AnyActMayFailOnAnyRank) {
  save(10);
  save(20);
  for (int failing = 0;; ++failing) {
    std::atomic<int> acts = 0;
    std::atomic<int> thrown = 0;
    run_on_threads(4, [&](Comm& comm) {
      SaveOptions faulty = options();
      faulty.before = [&](const std::string& act) {
        if (acts++ == failing) throw Error(act + ": No space left on device");
      };
      try {
        const OwnedState mine = OwnedState::at_step(30);
        save_checkpoint(comm, folder_, mine.state, faulty);
      } catch (const Error& error) {
        ++thrown;
        EXPECT_NE(std::string(error.what()).find("No space left on device"), std::string::npos);
      }
    });
    if (thrown == 0) break;
    EXPECT_EQ(thrown, 4) << "act " << failing;
    ASSERT_LT(failing, 20);
    EXPECT_TRUE(fs::exists(folder_ / "step-00000010"));
    for (const std::string& name : names_in(folder_)) {
      EXPECT_FALSE(name.starts_with(".")) << name << " after failing act " << failing;
    }
    expect_newest_is(fs::exists(folder_ / "step-00000030") ? 30 : 20);
  }
  expect_newest_is(30);
}

// The operating system refuses to write more than so many bytes to a file.
TEST_F(CheckpointCrashTest, AWriteThatFailsLeavesTheOlder) {
  save(10);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{700}, rlim_t{2000}}) {
    const int code = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit bound{limit, limit};
      if (::setrlimit(RLIMIT_FSIZE, &bound) != 0) return;
      SoloComm comm;
      save_checkpoint(comm, folder_, OwnedState::at_step(20).state, options());
    });
    EXPECT_EQ(code, 1) << limit << " bytes";
    EXPECT_EQ(names_in(folder_), std::vector<std::string>{"step-00000010"});
    expect_newest_is(10);
  }
}

TEST_F(CheckpointCrashTest, AFolderThatCannotBeMade) {
  overwrite(root_ / "file", "");
  SoloComm comm;
  EXPECT_THROW(save_checkpoint(comm, root_ / "file" / "checkpoints", OwnedState::at_step(1).state,
                               options()),
               Error);
}

// What does not read back as written is set aside, and nothing older is deleted for it.
TEST_F(CheckpointCrashTest, ReadBackBeforeTheOlderGoes) {
  save(10);
  save(20);
  SoloComm comm;
  SaveOptions rotting = options();
  rotting.before = [&](const std::string& act) {
    if (act == "verify") overwrite(folder_ / "step-00000030" / slice_name(4), "rot");
  };
  try {
    save_checkpoint(comm, folder_, OwnedState::at_step(30).state, rotting);
    FAIL() << "saved";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(slice_name(4) + ": expected"), std::string::npos);
  }
  EXPECT_EQ(names_in(folder_),
            (std::vector<std::string>{"damaged-step-00000030", "step-00000010", "step-00000020"}));
  expect_newest_is(20);
}

}  // namespace
}  // namespace funnel::testing
