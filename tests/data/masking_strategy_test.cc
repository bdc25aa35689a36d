// SPDX-License-Identifier: Apache-2.0
// Oracle: a second implementation of the four strategies, written from their description alone on
// the standard library's generators, whose distributions are compared with ours; and properties
// that hold for every example. Seeds are fixed; bounds are at least five standard deviations wide.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "data/masking.h"
#include "data/masking_spans.h"
#include "tests/data/expect_error.h"

namespace funnel {
namespace {

constexpr SpecialIds kSpecial{0, 1, 2, 3, 4};
constexpr int64_t kVocab = 1000;
constexpr size_t kSeq = 128;
constexpr int64_t kPredictions = 21;

// Even ids begin words, odd ones continue them.
std::vector<uint8_t> starts() {
  std::vector<uint8_t> table(kVocab);
  for (size_t id = 0; id < table.size(); ++id) table[id] = id < 5 || id % 2 == 0;
  return table;
}

// [CLS] A [SEP] B [SEP] and three [PAD], or more, with words of one to three pieces.
std::vector<int32_t> example_ids(size_t length = kSeq - 3) {
  std::mt19937 random(8);
  std::vector<int32_t> ids(kSeq, kSpecial.pad);
  int32_t continued = 0;
  for (size_t i = 1; i < length; ++i) {
    ids[i] = static_cast<int32_t>(100 + 2 * (random() % 400)) + (continued > 0 ? 1 : 0);
    continued = continued > 0 ? continued - 1 : std::max<int32_t>(0, random() % 8 - 5);
  }
  ids[0] = kSpecial.cls;
  ids[length / 2] = ids[length - 1] = kSpecial.sep;
  return ids;
}

using Chosen = std::vector<uint8_t>;  // [kSeq]

MaskingConfig config_of(MaskingStrategy strategy, const std::vector<uint8_t>& table) {
  return {.seed = 4,
          .predictions = kPredictions,
          .strategy = strategy,
          .vocab = kVocab,
          .special = kSpecial,
          .full_length = kSeq - 3,
          .word_starts = table};
}

struct Masked {
  std::vector<int32_t> ids = std::vector<int32_t>(kSeq);
  std::vector<int32_t> positions = std::vector<int32_t>(kPredictions);
  std::vector<int32_t> targets = std::vector<int32_t>(kPredictions);
  int64_t count = 0;
};

Masked mask(const MaskingConfig& config, const std::vector<int32_t>& ids, int64_t epoch,
            int64_t example) {
  Masked out;
  out.count = mask_example(config, epoch, example, ids, {out.ids, out.positions, out.targets});
  return out;
}

Chosen chosen_by_us(MaskingStrategy strategy, const std::vector<int32_t>& ids, int64_t example) {
  static const std::vector<uint8_t> table = starts();
  Chosen chosen(kSeq, 0);
  for (int32_t i : mask(config_of(strategy, table), ids, 0, example).positions) chosen.at(i) = 1;
  return chosen;
}

// The second implementation.
class Naive {
 public:
  explicit Naive(const std::vector<int32_t>& ids) : ids_(ids) {
    for (size_t i = 0; i < kSeq; ++i) {
      if (ids[i] >= 100) candidates_.insert(i);
      if (ids[i] >= 100 && ids[i] % 2 == 0) words_.push_back({});
      if (ids[i] >= 100) words_.back().push_back(i);
    }
  }

  Chosen choose(MaskingStrategy strategy) {
    std::vector<std::vector<size_t>> groups;
    if (strategy == MaskingStrategy::whole_word) groups = words_;
    if (strategy == MaskingStrategy::token_span) {
      std::vector<std::vector<size_t>> tokens;
      for (size_t i = 0; i + 4 < kSeq; ++i) tokens.push_back({i});
      groups = spans(tokens, 125.0 / kPredictions);
    }
    if (strategy == MaskingStrategy::word_span) groups = spans(words_, 125.0 / kPredictions / 1.2);
    std::shuffle(groups.begin(), groups.end(), random_);
    std::set<size_t> taken;
    for (const auto& group : groups) {
      for (size_t i : group) {
        if (taken.size() < kPredictions && candidates_.contains(i)) taken.insert(i);
      }
    }
    std::vector<size_t> rest;
    for (size_t i : candidates_) {
      if (!taken.contains(i)) rest.push_back(i);
    }
    std::shuffle(rest.begin(), rest.end(), random_);
    for (size_t i : rest) {
      if (taken.size() < kPredictions) taken.insert(i);
    }
    Chosen chosen(kSeq, 0);
    for (size_t i : taken) chosen[i] = 1;
    return chosen;
  }

 private:
  std::vector<std::vector<size_t>> spans(const std::vector<std::vector<size_t>>& units,
                                         double chunk) {
    std::discrete_distribution<int> length_less_one{1 / 2.0, 1 / 3.0, 1 / 4.0, 1 / 5.0, 1 / 6.0};
    std::uniform_real_distribution<double> uniform;
    std::vector<std::vector<size_t>> groups;
    double chunk_begin = 0;
    for (int64_t i = 0; i < kPredictions; ++i) {
      const double length = 1 + length_less_one(random_);
      const double begin = chunk_begin + std::nearbyint(uniform(random_) * length * (chunk - 1));
      chunk_begin += std::nearbyint(length * chunk);
      if (begin + length > static_cast<double>(units.size())) continue;
      groups.emplace_back();
      for (double u = begin; u < begin + length; ++u) {
        const auto& unit = units[static_cast<size_t>(u)];
        groups.back().insert(groups.back().end(), unit.begin(), unit.end());
      }
    }
    return groups;
  }

  std::vector<int32_t> ids_;
  std::set<size_t> candidates_;
  std::vector<std::vector<size_t>> words_;
  std::mt19937_64 random_{9};
};

// What is compared: how often each position is chosen, runs of chosen tokens by length, and how
// many words are chosen in part.
struct Counts {
  std::map<int, double> positions, runs, parts;

  void add(const Chosen& chosen, const std::vector<int32_t>& ids) {
    int run = 0, part = 0;
    for (size_t i = 0; i < kSeq; ++i) {
      if (chosen[i] != 0) ++positions[static_cast<int>(i)];
      if (chosen[i] != 0) ++run;
      if (run > 0 && (i + 1 == kSeq || chosen[i + 1] == 0))
        ++runs[std::min(std::exchange(run, 0), 12)];
      if (i > 0 && ids[i] >= 100 && ids[i] % 2 == 1) part += chosen[i] != chosen[i - 1];
    }
    ++parts[std::min(part, 6)];
  }
};

// Two samples of one distribution differ by about their degrees of freedom.
void expect_alike(const std::map<int, double>& a, const std::map<int, double>& b, double spread) {
  double chi_square = 0;
  std::set<int> keys;
  for (const auto& [key, count] : a) keys.insert(key);
  for (const auto& [key, count] : b) keys.insert(key);
  for (int key : keys) {
    const double in_a = a.contains(key) ? a.at(key) : 0, in_b = b.contains(key) ? b.at(key) : 0;
    if (in_a + in_b >= 10) chi_square += (in_a - in_b) * (in_a - in_b) / (in_a + in_b);
  }
  const auto degrees = static_cast<double>(keys.size());
  EXPECT_LT(chi_square, spread * (degrees + 5 * std::sqrt(2 * degrees)));
}

class Strategy : public ::testing::TestWithParam<MaskingStrategy> {};

TEST_P(Strategy, HasTheDistributionOfItsDescription) {
  const std::vector<int32_t> ids = example_ids();
  Naive naive(ids);
  Counts ours, theirs;
  for (int64_t example = 0; example < 12000; ++example) {
    ours.add(chosen_by_us(GetParam(), ids, example), ids);
    theirs.add(naive.choose(GetParam()), ids);
  }
  expect_alike(ours.positions, theirs.positions, 1);
  // The runs of one example depend on each other.
  expect_alike(ours.runs, theirs.runs, 2);
  expect_alike(ours.parts, theirs.parts, 1);
}

TEST_P(Strategy, ExactlyTheWantedNumberAndNoSpecialPiece) {
  const std::vector<uint8_t> table = starts();
  const std::vector<int32_t> ids = example_ids();
  for (const int64_t predictions : {1, 21, 121, 122}) {
    MaskingConfig config = config_of(GetParam(), table);
    config.predictions = predictions;
    for (int64_t example = 0; example < 100; ++example) {
      Masked masked;
      masked.positions.assign(static_cast<size_t>(predictions), -1);
      masked.targets = masked.positions;
      EXPECT_EQ(
          mask_example(config, 0, example, ids, {masked.ids, masked.positions, masked.targets}),
          predictions);
      EXPECT_TRUE(std::is_sorted(masked.positions.begin(), masked.positions.end()));
      EXPECT_EQ(std::set<int32_t>(masked.positions.begin(), masked.positions.end()).size(),
                static_cast<size_t>(predictions));
      std::vector<int32_t> restored = masked.ids;
      for (size_t i = 0; i < masked.positions.size(); ++i) {
        EXPECT_GE(masked.targets[i], 100);
        restored.at(masked.positions[i]) = masked.targets[i];
      }
      EXPECT_EQ(restored, ids);
    }
  }
}

TEST_P(Strategy, CorruptsEightyTenTen) {
  const std::vector<uint8_t> table = starts();
  const std::vector<int32_t> ids = example_ids();
  double masks = 0, kept = 0, total = 0;
  for (int64_t example = 0; example < 4000; ++example) {
    const Masked masked = mask(config_of(GetParam(), table), ids, 1, example);
    for (size_t i = 0; i < masked.positions.size(); ++i, ++total) {
      const int32_t id = masked.ids.at(masked.positions[i]);
      masks += id == kSpecial.mask;
      kept += id == masked.targets[i];
    }
  }
  // 84000 draws, deviations 0.0014 and 0.0010; a random id is <mask> or the token itself 1 in 1000.
  EXPECT_NEAR(masks / total, 0.8001, 0.007);
  EXPECT_NEAR(kept / total, 0.1001, 0.0055);
}

TEST_P(Strategy, IsAFunctionOfSeedEpochAndExample) {
  const std::vector<uint8_t> table = starts();
  const std::vector<int32_t> ids = example_ids();
  const auto positions = [&](uint64_t seed, int64_t epoch, int64_t example) {
    MaskingConfig config = config_of(GetParam(), table);
    config.seed = seed;
    return mask(config, ids, epoch, example).positions;
  };
  EXPECT_EQ(positions(1, 2, 3), positions(1, 2, 3));
  EXPECT_NE(positions(1, 2, 3), positions(0, 2, 3));
  EXPECT_NE(positions(1, 2, 3), positions(1, 3, 3));
  EXPECT_NE(positions(1, 2, 3), positions(1, 2, 4));
}

// With padding: the same share of the tokens, and slots without a target behind them.
TEST_P(Strategy, ShortExamplesHaveTheirShare) {
  const std::vector<uint8_t> table = starts();
  // Of 125 tokens 21 are predicted: 0.168 of them, rounded, at least one.
  const std::map<size_t, int64_t> expected{{5, 1}, {8, 1}, {9, 2}, {60, 10}, {122, 20}, {125, 21}};
  for (const auto& [length, predictions] : expected) {
    const std::vector<int32_t> ids = example_ids(length);
    for (int64_t example = 0; example < 50; ++example) {
      const Masked masked = mask(config_of(GetParam(), table), ids, 0, example);
      ASSERT_EQ(masked.count, predictions) << length;
      for (int64_t slot = 0; slot < kPredictions; ++slot) {
        const auto i = static_cast<size_t>(slot);
        if (slot < predictions) {
          EXPECT_LT(masked.positions[i], static_cast<int32_t>(length));
          EXPECT_GE(masked.targets[i], 100);
        } else {
          EXPECT_EQ(masked.positions[i], static_cast<int32_t>(length) + slot - predictions);
          EXPECT_EQ(masked.targets[i], kNoTarget);
        }
      }
      EXPECT_TRUE(std::all_of(masked.ids.begin() + static_cast<int64_t>(length), masked.ids.end(),
                              [](int32_t id) { return id == kSpecial.pad; }));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Masking, Strategy,
                         ::testing::Values(MaskingStrategy::single_token,
                                           MaskingStrategy::whole_word, MaskingStrategy::token_span,
                                           MaskingStrategy::word_span));

TEST(MaskingStrategy, WholeWordsAreCutAtTheBudgetOnly) {
  const std::vector<int32_t> ids = example_ids();
  const std::vector<MaskingRange> words = words_of(ids, kSpecial, starts());
  std::map<int64_t, double> by_word;
  for (int64_t example = 0; example < 20000; ++example) {
    const Chosen chosen = chosen_by_us(MaskingStrategy::whole_word, ids, example);
    int cut = 0;
    for (size_t w = 0; w < words.size(); ++w) {
      const auto taken =
          std::count(chosen.begin() + words[w].begin, chosen.begin() + words[w].end, 1);
      cut += taken > 0 && taken < words[w].end - words[w].begin;
      by_word[static_cast<int64_t>(w)] += taken > 0;
    }
    ASSERT_LE(cut, 1);
  }
  // Words of one length are equally likely; about one in six: deviation 53.
  std::map<int64_t, std::vector<double>> by_length;
  for (size_t w = 0; w < words.size(); ++w) {
    by_length[words[w].end - words[w].begin].push_back(by_word[static_cast<int64_t>(w)]);
  }
  EXPECT_GE(by_length.size(), 2u);
  for (const auto& [length, counts] : by_length) {
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_LT(*most - *least, 2 * 5 * 53) << length;
  }
}

TEST(MaskingStrategy, Errors) {
  MaskingConfig config = config_of(MaskingStrategy::token_span, {});
  config.max_span = 0;
  testing::expect_error(ExitCode::kUsage, {"min_span", "max_span", "found 1 and 0"},
                        [&] { validate(config); });
  config = config_of(MaskingStrategy::token_span, {});
  const std::vector<int32_t> ids(kSeq, kSpecial.pad);
  testing::expect_error(ExitCode::kUsage, {"example 7", "at most 0"},
                        [&] { mask(config, ids, 0, 7); });
}

}  // namespace
}  // namespace funnel
