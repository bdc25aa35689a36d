// SPDX-License-Identifier: Apache-2.0
// What a long run over many lives is promised: loaders and prefetchers as ranks have them, stopped
// and started again at will. Oracle: the multiset of (data set, epoch, example) that is seen.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <random>
#include <set>

#include "data/prefetcher.h"
#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

constexpr int64_t kLanes = 16, kSeq = 16;

// Sets of sizes that divide nothing, so that epochs end within steps and chunks within lanes.
class Streaming : public ::testing::Test {
 protected:
  Streaming() {
    testing::write_numbered_data(folder_ / "a", 331, kSeq, 50, 8, 40);
    testing::write_numbered_data(folder_ / "b", 113, kSeq, 50, 4, 12);
    testing::write_numbered_data(folder_ / "c", 29, kSeq, 50, 16, 16);
  }

  Mixture open() const {
    return Mixture::open({{folder_ / "a", 0.6}, {folder_ / "b", 0.3}, {folder_ / "c", 0.1}});
  }

  testing::TemporaryFolder folder_;
};

// One rank: its own view of the data, its lanes, its threads.
struct Rank {
  Rank(const Mixture& data, const LoaderConfig& config, int64_t step, int64_t first, int64_t lanes,
       int readers)
      : loader(data, config), prefetcher(loader, step, {{first, lanes}}, readers + 2, readers) {}
  Loader loader;
  Prefetcher prefetcher;
};

// Fifty lives on 1, 2, 4, 8 or 16 ranks with 1 to 3 readers each, cut off at any step; a life may
// begin some steps before the last one's end, as after a crash. What is logged for a step is always
// the same, and over all steps each set's epochs hold every example exactly once.
TEST_F(Streaming, ExactlyOncePerEpochOverFiftyLives) {
  std::mt19937 random(5);
  std::map<std::pair<int64_t, int64_t>, Sample> log;  // by step and lane
  int64_t step = 0, repeated = 0;
  for (int life = 0; life < 50; ++life) {
    const Mixture data = open();
    const int64_t ranks = int64_t{1} << random() % 5, lanes = kLanes / ranks;
    step = std::max<int64_t>(0, step - static_cast<int64_t>(random() % 4));
    std::vector<std::unique_ptr<Rank>> list;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const LoaderConfig config{
          .seed = 11, .global_batch = kLanes, .predictions = 3, .lanes = lanes};
      list.push_back(std::make_unique<Rank>(data, config, step, rank * lanes, lanes,
                                            1 + static_cast<int>(random() % 3)));
    }
    for (const int64_t end = step + 1 + static_cast<int64_t>(random() % 9); step < end; ++step) {
      for (const auto& rank : list) {
        const Batch& batch = rank->prefetcher.next();
        ASSERT_EQ(batch.step, step);
        for (int64_t row = 0; row < batch.examples; ++row) {
          const Sample& sample = batch.samples[row];
          const auto [known, is_new] = log.try_emplace({step, batch.first_lane + row}, sample);
          ASSERT_EQ(known->second, sample);
          repeated += !is_new;
          // The row is the example's: its second token tells the number.
          const int64_t token = 5 + (sample.example + 1) % 45;
          if (sample.example % (kSeq - 4) != 0) {
            ASSERT_EQ(batch.input_ids.as<int32_t>()[row * kSeq + 1], token);
          }
        }
      }
    }
  }
  EXPECT_GT(repeated, 0);
  ASSERT_EQ(static_cast<int64_t>(log.size()), step * kLanes);
  std::map<std::pair<int64_t, int64_t>, std::map<int64_t, int>> epochs;  // by set and epoch
  std::map<int64_t, int64_t> seen;                                       // by set
  for (const auto& [place, sample] : log) {
    ++epochs[{sample.set, sample.epoch}][sample.example];
    ++seen[sample.set];
  }
  const int64_t sizes[] = {331, 113, 29};
  const double weights[] = {0.6, 0.3, 0.1};
  for (int64_t set = 0; set < 3; ++set) {
    const int64_t whole = seen[set] / sizes[set];
    EXPECT_GE(whole, 3);
    for (int64_t epoch = 0; epoch <= whole; ++epoch) {
      const auto& counts = epochs[{set, epoch}];
      const int64_t expected = epoch < whole ? sizes[set] : seen[set] % sizes[set];
      EXPECT_EQ(static_cast<int64_t>(counts.size()), expected) << set << ", epoch " << epoch;
      for (const auto& [example, count] : counts) EXPECT_EQ(count, 1);
    }
    EXPECT_NEAR(static_cast<double>(seen[set]), weights[set] * static_cast<double>(log.size()), 3);
  }
}

// Rows of a mixed batch are those stored in the data set that they are said to be from.
TEST_F(Streaming, MixedBatchesAreThoseOfTheirSets) {
  const Mixture data = open();
  const Loader loader(data, {.seed = 11, .global_batch = kLanes, .predictions = 3});
  Batch batch;
  std::set<int64_t> sets;
  for (int64_t step = 0; step < 20; ++step) {
    loader.load(step, 0, kLanes, batch);
    for (int64_t row = 0; row < kLanes; ++row) {
      const Sample& sample = batch.samples[row];
      sets.insert(sample.set);
      const DataSet& set = data.set(sample.set);
      const int64_t chunk = sample.example / set.chunk_rows(), rows = set.rows_of(chunk);
      std::vector<int32_t> ids(rows * kSeq), lengths(rows);
      set.read_chunk(chunk, Tensor(ids.data(), {rows, kSeq}, DType::i32),
                     Tensor(lengths.data(), {rows}, DType::i32));
      const int64_t in_chunk = sample.example % set.chunk_rows();
      EXPECT_TRUE(std::equal(ids.begin() + in_chunk * kSeq, ids.begin() + (in_chunk + 1) * kSeq,
                             batch.input_ids.as<int32_t>() + row * kSeq));
    }
  }
  EXPECT_EQ(sets.size(), 3u);
}

// Runs `work` as a user without rights to write, in a process of its own; its exit code.
template <class Work>
int as_nobody(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(3);
    try {
      work();
    } catch (const std::exception& error) {
      std::fputs(error.what(), stderr);
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// Folders and files that may only be read, to a user who owns nothing.
TEST_F(Streaming, ReadOnlyFolder) {
  namespace fs = std::filesystem;
  const auto reading = fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read;
  const auto entering = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    fs::permissions(entry.path(), entry.is_directory() ? reading | entering : reading);
  }
  fs::permissions(folder_.path(), reading | entering);
  EXPECT_EQ(as_nobody([&] {
              FUNNEL_CHECK(::access((folder_ / "a").c_str(), W_OK) != 0, "can be written");
              const Mixture data = open();
              const Loader loader(data, {.global_batch = kLanes, .predictions = 3});
              Prefetcher prefetcher(loader, 0, {{0, kLanes}}, 4, 2);
              for (int step = 0; step < 60; ++step) prefetcher.next();
            }),
            0);
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add);
  }
  fs::permissions(folder_.path(), fs::perms::owner_all, fs::perm_options::add);
}

// Somebody else holds every lock there is; who took a lock would fail or hang.
TEST_F(Streaming, TakesNoFileLock) {
  std::vector<int> held;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (!entry.is_regular_file()) continue;
    const int file = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(file, 0);
    ASSERT_EQ(::flock(file, LOCK_EX | LOCK_NB), 0);
    held.push_back(file);
  }
  ASSERT_GT(held.size(), 10u);
  const Mixture data = open();
  const Loader loader(data, {.global_batch = kLanes, .predictions = 3});
  Batch batch;
  for (int step = 0; step < 60; ++step) loader.load(step, 0, kLanes, batch);
  for (const int file : held) ::close(file);
}

// A shard replaced in mid-run by another of the same size is noticed by its checksums.
TEST_F(Streaming, ShardAlteredWhileItIsRead) {
  const Mixture data = open();
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "a")) {
    if (entry.path().extension() != ".h5") continue;
    std::ofstream file(entry.path(), std::ios::binary | std::ios::in);
    file.seekp(static_cast<std::streamoff>(entry.file_size() / 3));
    for (int i = 0; i < 1000; ++i) file << "another text";
  }
  const Loader loader(data, {.global_batch = kLanes, .predictions = 3});
  Batch batch;
  testing::expect_error(ExitCode::kNeedsHuman, {"/a/shard-0000", "dataset '", "checksum"}, [&] {
    for (int step = 0; step < 60; ++step) loader.load(step, 0, kLanes, batch);
  });
}

// Ranks share the work of opening; a shard nobody has checked here is when it is read.
TEST_F(Streaming, RanksShareTheChecks) {
  std::filesystem::remove(folder_ / "a" / "shard-00003.h5");
  int told = 0;
  for (int rank = 0; rank < 4; ++rank) {
    try {
      const DataSet data = DataSet::open(folder_ / "a", {rank, 4});
      std::vector<int32_t> ids(8 * kSeq), lengths(8);
      testing::expect_error(ExitCode::kNeedsHuman, {"shard-00003.h5", "No such file"}, [&] {
        for (int64_t chunk = 0; chunk < data.chunks(); ++chunk) {
          const int64_t rows = data.rows_of(chunk);
          data.read_chunk(chunk, Tensor(ids.data(), {rows, kSeq}, DType::i32),
                          Tensor(lengths.data(), {rows}, DType::i32));
        }
      });
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::kUsage);
      EXPECT_EQ(rank, 3);
      ++told;
    }
  }
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace funnel
