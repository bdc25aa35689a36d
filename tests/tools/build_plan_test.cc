// SPDX-License-Identifier: Apache-2.0
// Oracle: what a plan must fulfil. Every byte of every file belongs to one job, in order.
#include "tools/funnel_shard/build_plan.h"

#include <gtest/gtest.h>

#include <random>

namespace funnel::shard_tool {
namespace {

constexpr int64_t kWholeFile = std::numeric_limits<int64_t>::max();

TextFile file(const std::string& name, int64_t bytes, Compression compression = Compression::none) {
  return {.path = name, .bytes = bytes, .compression = compression};
}

TEST(BuildPlan, JobsCoverEveryByteOnce) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<TextFile> files;
    for (size_t i = random() % 12 + 1; i > 0; --i) {
      files.push_back(file(std::to_string(i), random() % 5000,
                           random() % 4 == 0 ? Compression::gzip : Compression::none));
      files.back().stream = random() % 20 == 0;
    }
    const int64_t text_bytes = random() % 3000 + 1;
    const std::vector<Job> jobs = cut_into_jobs(files, text_bytes);
    std::vector<TextPiece> pieces;
    for (const Job& job : jobs) {
      ASSERT_FALSE(job.pieces.empty());
      EXPECT_TRUE(!job.stream || job.pieces.size() == 1);
      pieces.insert(pieces.end(), job.pieces.begin(), job.pieces.end());
    }
    size_t at = 0;
    for (const TextFile& expected : files) {
      const bool whole = expected.stream || expected.compression != Compression::none;
      for (int64_t begin = 0; begin < expected.bytes || (whole && begin == 0);) {
        ASSERT_LT(at, pieces.size());
        EXPECT_EQ(pieces[at].file.path, expected.path);
        EXPECT_EQ(pieces[at].begin, begin);
        if (whole) {
          EXPECT_EQ(pieces[at].end, kWholeFile);
        } else {
          EXPECT_LE(pieces[at].end, expected.bytes);
          EXPECT_GT(pieces[at].end, begin);
        }
        begin = pieces[at++].end;
      }
    }
    EXPECT_EQ(at, pieces.size());
  }
}

TEST(BuildPlan, JobsAreAlike) {
  const std::vector<Job> jobs =
      cut_into_jobs({file("a", 1000), file("b", 3), file("c", 0), file("d", 9000)}, 1000);
  EXPECT_EQ(jobs.size(), 11u);
  for (const Job& job : jobs) {
    EXPECT_GE(job.bytes, 909);
    EXPECT_LE(job.bytes, 910);
  }
}

TEST(BuildPlan, SmallCompressedFilesShareAJob) {
  std::vector<TextFile> files(10, file("a.gz", 100, Compression::gzip));
  const std::vector<Job> jobs = cut_into_jobs(files, 1000);
  EXPECT_EQ(jobs.size(), 4u);
  EXPECT_EQ(jobs.front().pieces.size(), 3u);
}

TEST(BuildPlan, WorkIsSpreadEvenly) {
  std::vector<Job> jobs;
  for (const int64_t work : {10, 90, 20, 80, 30, 70, 50, 5, 1000}) {
    jobs.push_back({.pieces = {file("a", work)}, .bytes = work, .work = work});
  }
  jobs.push_back({.pieces = {file("-", 0)}, .stream = true});
  std::vector<bool> finished(jobs.size(), false);
  finished[8] = true;
  const std::vector<int> rank_of = assign_jobs(jobs, finished, 3);
  std::vector<int64_t> work(3, 0);
  for (size_t i = 0; i < 8; ++i) work[static_cast<size_t>(rank_of[i])] += jobs[i].work;
  EXPECT_EQ(rank_of.back(), 0);
  // 355 in all; no job but the smallest comes in when the ranks differ by more.
  for (const int64_t sum : work) EXPECT_NEAR(static_cast<double>(sum), 355.0 / 3, 12);
}

TEST(BuildPlan, TextAndBack) {
  std::vector<TextFile> files{file("a \"b\".txt", 7), file("-", 0),
                              file("c.gz", 9, Compression::gzip)};
  files[0].modified = -5;
  files[1].stream = true;
  files[2].format = TextFormat::json_lines;
  BuildOptions options;
  const std::string plan = plan_text(options, "digest", files);
  const std::vector<TextFile> found = files_of_plan(plan);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].path, files[0].path);
  EXPECT_EQ(found[0].modified, -5);
  EXPECT_TRUE(found[1].stream);
  EXPECT_EQ(found[2].format, TextFormat::json_lines);
  EXPECT_EQ(found[2].compression, Compression::gzip);
  options.passes = 2;
  EXPECT_NE(plan_text(options, "digest", files), plan);
}

}  // namespace
}  // namespace funnel::shard_tool
