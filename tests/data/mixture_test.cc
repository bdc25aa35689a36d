// SPDX-License-Identifier: Apache-2.0
// Oracle: counting. Every visit of many steps is listed, and the list is held to the promises.
#include "data/mixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

struct Case {
  std::vector<SampledSet> sets;
  int64_t lanes;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {{{100}, {37}}, 8},
      {{{100, 3}, {37, 1}}, 8},
      {{{100, 0.7}, {37, 0.3}}, 10},
      {{{53, 0.7}, {31, 0.3}}, 8},
      {{{53, 1}, {31, 1}, {7, 1}}, 8},
      {{{11, 1}, {200, 2}, {1, 1}, {40, 4.5}}, 4},
      {{{30, 0.001}, {30, 0.999}}, 16},
      {{{5, 1}, {5, 2}, {5, 3}}, 1},
  };
  return list;
}

// Each epoch of each data set, cut into lanes any way, has every position once, and no step begins
// an epoch before the last step's is over.
TEST(MixedSampler, EveryPositionOncePerEpochOfEachSet) {
  for (const Case& c : cases()) {
    const Sampler sampler(c.sets, c.lanes);
    std::vector<std::vector<std::pair<int64_t, int64_t>>> seen(c.sets.size());
    std::vector<int64_t> newest(c.sets.size(), 0);
    for (int64_t step = 0; step < 400; ++step) {
      const std::vector<int64_t> before = newest;
      for (int64_t lane = 0; lane < c.lanes; ++lane) {
        const Visit visit = sampler.visit(step, lane);
        ASSERT_LT(visit.set, static_cast<int64_t>(c.sets.size()));
        seen[visit.set].emplace_back(visit.epoch, visit.position);
        ASSERT_GE(visit.epoch, before[visit.set]);
        newest[visit.set] = std::max(newest[visit.set], visit.epoch);
      }
      for (size_t set = 0; set < c.sets.size(); ++set) {
        ASSERT_EQ(sampler.visits(set, step + 1), static_cast<int64_t>(seen[set].size()));
      }
    }
    for (size_t set = 0; set < c.sets.size(); ++set) {
      const auto examples = static_cast<size_t>(c.sets[set].examples);
      std::map<int64_t, std::vector<int>> epochs;
      for (const auto& [epoch, position] : seen[set]) {
        auto& counts = epochs.try_emplace(epoch, examples, 0).first->second;
        ASSERT_TRUE(position >= 0 && position < c.sets[set].examples);
        ++counts[position];
      }
      for (const auto& [epoch, counts] : epochs) {
        const bool is_last = epoch == epochs.rbegin()->first;
        for (const int count : counts) ASSERT_LE(count, 1);
        const auto sum = static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), 0));
        ASSERT_TRUE(sum == examples || is_last);
      }
    }
  }
}

TEST(MixedSampler, WeightsHoldInAnyStretch) {
  for (const Case& c : cases()) {
    const Sampler sampler(c.sets, c.lanes);
    const int64_t steps = 300, visits = steps * c.lanes;
    double sum = 0;
    for (const SampledSet& set : c.sets) sum += set.weight;
    for (size_t set = 0; set < c.sets.size(); ++set) {
      std::vector<int64_t> before(1, 0);
      for (int64_t v = 0; v < visits; ++v) {
        const bool is_ours =
            sampler.visit(v / c.lanes, v % c.lanes).set == static_cast<int64_t>(set);
        before.push_back(before.back() + is_ours);
      }
      const double share = c.sets[set].weight / sum, slack = 2.0 * (1.0 + c.sets.size());
      for (int64_t begin = 0; begin <= visits; begin += 7) {
        for (int64_t end = begin; end <= visits; end += 13) {
          const double expected = share * static_cast<double>(end - begin);
          ASSERT_LE(std::abs(static_cast<double>(before[end] - before[begin]) - expected), slack)
              << "visits " << begin << " to " << end;
        }
      }
    }
  }
}

// A lane's own chunk sequence: on most lanes nearly every visit follows the one before.
TEST(MixedSampler, LanesWalkTheirSections) {
  const Sampler sampler({{1000, 0.7}, {500, 0.3}}, 16);
  int64_t follows = 0, all = 0;
  for (int64_t lane = 0; lane < 16; ++lane) {
    std::map<int64_t, Visit> last;
    for (int64_t step = 0; step < 300; ++step) {
      const Visit visit = sampler.visit(step, lane);
      if (const auto known = last.find(visit.set); known != last.end()) {
        ++all;
        follows +=
            visit.epoch == known->second.epoch && visit.position == known->second.position + 1;
      }
      last[visit.set] = visit;
    }
  }
  EXPECT_GT(all, 16 * 290);
  EXPECT_GT(static_cast<double>(follows) / static_cast<double>(all), 0.98);
}

TEST(MixedSampler, FarAheadIsAsGoodAsNear) {
  const Sampler sampler({{300, 2}, {77, 1}}, 8);
  const int64_t far = int64_t{1} << 38;
  for (int64_t set = 0; set < 2; ++set) {
    const double share = set == 0 ? 2.0 / 3 : 1.0 / 3;
    // The weights are exact to one in 2^32.
    EXPECT_NEAR(static_cast<double>(sampler.visits(set, far)) / (static_cast<double>(far) * 8),
                share, 1e-9);
  }
  std::vector<int> seen(300, 0);
  int64_t epoch = -1;
  for (int64_t step = far; step < far + 200; ++step) {
    for (int64_t lane = 0; lane < 8; ++lane) {
      const Visit visit = sampler.visit(step, lane);
      if (visit.set != 0) continue;
      if (epoch < 0) epoch = visit.epoch + 1;
      if (visit.epoch == epoch) ++seen[visit.position];
    }
  }
  EXPECT_EQ(seen, std::vector<int>(300, 1));
}

TEST(MixedSampler, Errors) {
  testing::expect_error(ExitCode::kUsage, {"weight", "found 0"}, [] {
    Sampler({{5, 1}, {5, 0}}, 4);
  });
  testing::expect_error(ExitCode::kUsage, {"without examples"}, [] { Sampler({{0}}, 4); });
}

TEST(DataSource, FolderAndWeight) {
  EXPECT_EQ(parse_data_source("a/b").folder, "a/b");
  EXPECT_FALSE(parse_data_source("a/b").weight);
  EXPECT_EQ(parse_data_source("a:b:2.5").folder, "a:b");
  EXPECT_EQ(parse_data_source("a:b:2.5").weight, 2.5);
  const testing::TemporaryFolder folder;
  const std::string odd = folder.path().string() + "/x:3";
  std::filesystem::create_directories(odd);
  EXPECT_EQ(parse_data_source(odd).folder, odd);
  for (const char* bad : {"a:", "a:0", "a:-1", "a:x", "a:1x", "a:nan", "a:1e30"}) {
    testing::expect_error(ExitCode::kUsage, {bad, "DIR:WEIGHT"}, [&] { parse_data_source(bad); });
  }
}

TEST(Mixture, SetsMustGoTogether) {
  const testing::TemporaryFolder folder;
  testing::write_numbered_data(folder / "a", 9, 16, 50, 4, 8);
  testing::write_numbered_data(folder / "long", 9, 32, 50, 4, 8);
  testing::write_numbered_data(folder / "other", 9, 16, 51, 4, 8);
  testing::write_numbered_data(folder / "b", 5, 16, 50, 2, 8);
  testing::write_numbered_data(folder / "b" / kHeldOutFolder, 3, 16, 50, 2, 8);
  const Mixture both = Mixture::open({{folder / "a"}, {folder / "b", 3}});
  EXPECT_EQ(both.examples(), 14);
  EXPECT_EQ(both.example_number(1, 2), 11);
  EXPECT_EQ(both.sampled_sets()[0].weight, 1);
  EXPECT_EQ(both.sampled_sets()[1].weight, 3);
  EXPECT_EQ(both.sampled_sets()[1].examples, 5);
  const auto held_out = Mixture::held_out({{folder / "a"}, {folder / "b", 3}});
  ASSERT_EQ(held_out.size(), 1u);
  EXPECT_EQ(held_out[0].weight, 3);
  testing::expect_error(ExitCode::kUsage, {"/long", "seq_len", "expected 16", "found 32"}, [&] {
    Mixture::open({{folder / "a"}, {folder / "long"}});
  });
  testing::expect_error(ExitCode::kUsage, {"/other", "vocabulary", "/a with SHA-256"}, [&] {
    Mixture::open({{folder / "a"}, {folder / "other"}});
  });
}

}  // namespace
}  // namespace funnel
