// SPDX-License-Identifier: Apache-2.0
// Oracle: the definition of the single_token strategy and of the 80/10/10 corruption, by counting
// with fixed seeds; bounds are at least five standard deviations wide.
#include "data/masking.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/expect_error.h"

namespace funnel {
namespace {

constexpr SpecialIds kSpecial{0, 1, 2, 3, 4};

struct Masked {
  std::vector<int32_t> ids, positions, targets;
};

Masked mask(const MaskingConfig& config, const std::vector<int32_t>& ids, int64_t epoch,
            int64_t example) {
  const auto predictions = static_cast<size_t>(config.predictions);
  Masked out{std::vector<int32_t>(ids.size(), -1), std::vector<int32_t>(predictions, -1),
             std::vector<int32_t>(predictions, -1)};
  mask_example(config, epoch, example, ids, {out.ids, out.positions, out.targets});
  return out;
}

MaskingConfig config_of(int64_t predictions) {
  return {.seed = 11, .predictions = predictions, .vocab = 1000, .special = kSpecial};
}

// [CLS] 60 tokens [SEP] 63 tokens [SEP] [PAD] [PAD], all tokens distinct.
std::vector<int32_t> example_ids() {
  std::vector<int32_t> ids(128);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(100 + i);
  ids[0] = kSpecial.cls;
  ids[61] = ids[125] = kSpecial.sep;
  ids[126] = ids[127] = kSpecial.pad;
  return ids;
}

TEST(Masking, ExactlyTheWantedNumberAndNoSpecialPiece) {
  const std::vector<int32_t> ids = example_ids();
  for (const int64_t predictions : {1, 20, 122, 123}) {
    for (int64_t example = 0; example < 50; ++example) {
      const Masked masked = mask(config_of(predictions), ids, 0, example);
      EXPECT_TRUE(std::is_sorted(masked.positions.begin(), masked.positions.end()));
      EXPECT_EQ(std::adjacent_find(masked.positions.begin(), masked.positions.end()),
                masked.positions.end());
      std::vector<int32_t> restored = masked.ids;
      for (size_t i = 0; i < masked.positions.size(); ++i) {
        EXPECT_GE(masked.targets[i], 100);
        EXPECT_EQ(masked.targets[i], ids[masked.positions[i]]);
        restored[masked.positions[i]] = masked.targets[i];
      }
      // Nothing else is touched.
      EXPECT_EQ(restored, ids);
    }
  }
}

TEST(Masking, EveryCandidateIsEquallyLikely) {
  const std::vector<int32_t> ids = example_ids();
  std::vector<int> chosen(128, 0);
  const int64_t examples = 20000;
  for (int64_t example = 0; example < examples; ++example) {
    for (int32_t position : mask(config_of(20), ids, 3, example).positions) ++chosen[position];
  }
  // 124 - 1 candidates, each with probability 20 / 123 = 0.1626: 3252 expected, deviation 52.
  double chi_square = 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (ids[i] < 100) {
      EXPECT_EQ(chosen[i], 0);
      continue;
    }
    const double expected = static_cast<double>(examples) * 20 / 123;
    EXPECT_NEAR(chosen[i], expected, 300);
    chi_square += (chosen[i] - expected) * (chosen[i] - expected) / expected;
  }
  // Fixed counts make this about (1 - 20/123) times a chi-square of 122 degrees: 102 +- 13.
  EXPECT_LT(chi_square, 170);
  EXPECT_GT(chi_square, 50);
}

TEST(Masking, EightyTenTen) {
  const std::vector<int32_t> ids = example_ids();
  int64_t mask_count = 0, kept = 0, random = 0, special = 0, total = 0;
  std::vector<int> halves(2, 0);
  for (int64_t example = 0; example < 5000; ++example) {
    const Masked masked = mask(config_of(20), ids, 0, example);
    for (size_t i = 0; i < masked.positions.size(); ++i, ++total) {
      const int32_t id = masked.ids[masked.positions[i]];
      if (id == kSpecial.mask) {
        ++mask_count;
      } else if (id == masked.targets[i]) {
        ++kept;
      } else {
        ++random;
        special += id < 5;
        ++halves[id / 500];
        EXPECT_LT(id, 1000);
      }
    }
  }
  // 100000 draws: deviations 126 and 95. A random id may be the token itself or <mask>, 1 in 500.
  EXPECT_NEAR(mask_count, 80000 + 10, 700);
  EXPECT_NEAR(kept, 10000 + 10, 500);
  EXPECT_NEAR(random, 10000 - 20, 500);
  EXPECT_EQ(mask_count + kept + random, total);
  // Special pieces are among the random ids: 4 in 1000 are not <mask>.
  EXPECT_NEAR(special, 40, 35);
  EXPECT_NEAR(halves[0], halves[1], 500);
}

TEST(Masking, RatiosAreFields) {
  const std::vector<int32_t> ids = example_ids();
  MaskingConfig config = config_of(40);
  config.leak_ratio = 1;
  config.rand_ratio = 0;
  EXPECT_EQ(mask(config, ids, 0, 0).ids, ids);
  config.leak_ratio = 0;
  const Masked all = mask(config, ids, 0, 0);
  EXPECT_EQ(std::count(all.ids.begin(), all.ids.end(), kSpecial.mask), 40);
}

TEST(Masking, IsAFunctionOfSeedEpochAndExample) {
  const std::vector<int32_t> ids = example_ids();
  const auto positions = [&](uint64_t seed, int64_t epoch, int64_t example) {
    MaskingConfig config = config_of(20);
    config.seed = seed;
    return mask(config, ids, epoch, example).positions;
  };
  EXPECT_EQ(positions(1, 2, 3), positions(1, 2, 3));
  EXPECT_NE(positions(1, 2, 3), positions(0, 2, 3));
  EXPECT_NE(positions(1, 2, 3), positions(1, 3, 3));
  EXPECT_NE(positions(1, 2, 3), positions(1, 2, 4));
}

TEST(Masking, Errors) {
  testing::expect_error(ExitCode::kUsage, {"predictions", "at most 123", "example 9", "124"},
                        [] { mask(config_of(124), example_ids(), 0, 9); });
  testing::expect_error(ExitCode::kUsage, {"predictions", "found 0"},
                        [] { validate(config_of(0)); });
  MaskingConfig config = config_of(1);
  config.leak_ratio = 0.7;
  config.rand_ratio = 0.4;
  testing::expect_error(ExitCode::kUsage, {"leak_ratio", "0.7", "0.4"}, [&] { validate(config); });
}

}  // namespace
}  // namespace funnel
