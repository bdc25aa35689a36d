// SPDX-License-Identifier: Apache-2.0
// Oracle: rows whose content follows from their number, sampler and masking called by hand.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/masking.h"
#include "data/sampler.h"
#include "tests/data/expect_error.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"

namespace funnel {
namespace {

constexpr int64_t kExamples = 37, kSeq = 16, kVocab = 50;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() : data_((write(folder_.path()), Mixture::open({{folder_.path()}}))) {}
  static void write(const std::filesystem::path& folder) {
    testing::write_numbered_data(folder, kExamples, kSeq, kVocab, 4, 12);
  }

  testing::TemporaryFolder folder_;
  Mixture data_;
};

template <class T>
std::vector<T> values(ConstTensor tensor) {
  return {tensor.as<T>(), tensor.as<T>() + tensor.elements()};
}

struct Content {
  explicit Content(const Batch& batch)
      : examples(batch.samples),
        ids(values<int32_t>(batch.input_ids)),
        masked(values<int32_t>(batch.masked_ids)),
        positions(values<int32_t>(batch.positions)),
        targets(values<int32_t>(batch.targets)),
        segments(values<uint8_t>(batch.segments)),
        padded(values<uint8_t>(batch.padded)) {}
  std::vector<Sample> examples;
  std::vector<int32_t> ids, masked, positions, targets;
  std::vector<uint8_t> segments, padded;
  bool operator==(const Content&) const = default;
};

TEST_F(LoaderTest, RowsAreWhatWasStored) {
  const Loader loader(data_, {.seed = 3, .global_batch = 5, .predictions = 4});
  Batch batch;
  loader.load(2, 1, 3, batch);
  EXPECT_EQ(batch.examples, 3);
  EXPECT_EQ(batch.first_sample, 11);
  EXPECT_EQ(batch.input_ids.shape(), (Shape{3, kSeq}));
  EXPECT_EQ(batch.positions.shape(), (Shape{3, 4}));
  for (int64_t row = 0; row < 3; ++row) {
    const Visit at = Sampler({{kExamples}}, 5).visit(2, 1 + row);
    const int64_t example = EpochOrder(3, 0, at.epoch, kExamples, 4).example(at.position);
    EXPECT_EQ(batch.samples[row], (Sample{0, at.epoch, example}));
    const int64_t a = 1 + example % (kSeq - 4);
    std::vector<int32_t> ids(kSeq);
    for (int64_t i = 0; i < kSeq; ++i) {
      ids[i] = i == 0                        ? 2
               : i == a + 1 || i == kSeq - 1 ? 3
                                             : static_cast<int32_t>(5 + (example + i) % 45);
      EXPECT_EQ(batch.input_ids.as<int32_t>()[row * kSeq + i], ids[i]);
      EXPECT_EQ(batch.segments.as<uint8_t>()[row * kSeq + i], i == 0 ? 2 : i <= a + 1 ? 0 : 1);
      EXPECT_EQ(batch.padded.as<uint8_t>()[row * kSeq + i], 0);
    }
    std::vector<int32_t> masked(kSeq), positions(4), targets(4);
    mask_example(
        {.seed = 3, .predictions = 4, .vocab = kVocab, .special = data_.set(0).index().special},
        at.epoch, example, ids, {masked, positions, targets});
    EXPECT_TRUE(
        std::equal(masked.begin(), masked.end(), batch.masked_ids.as<int32_t>() + row * kSeq));
    EXPECT_TRUE(
        std::equal(positions.begin(), positions.end(), batch.positions.as<int32_t>() + row * 4));
    EXPECT_TRUE(std::equal(targets.begin(), targets.end(), batch.targets.as<int32_t>() + row * 4));
  }
}

TEST_F(LoaderTest, EveryExampleOncePerEpoch) {
  const Loader loader(data_, {.global_batch = 1, .predictions = 2});
  Batch batch;
  std::vector<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order;
    for (int64_t step = 0; step < kExamples; ++step) {
      loader.load(epoch * kExamples + step, 0, 1, batch);
      order.push_back(batch.samples[0].example);
    }
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), size_t{kExamples});
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST_F(LoaderTest, SameOrderEveryEpochChangesMasksOnly) {
  const Loader loader(data_, {.global_batch = 1, .predictions = 5, .same_order_every_epoch = true});
  Batch first, second;
  bool masks_differ = false;
  for (int64_t step = 0; step < kExamples; ++step) {
    loader.load(step, 0, 1, first);
    loader.load(step + kExamples, 0, 1, second);
    EXPECT_EQ(first.samples[0].example, second.samples[0].example);
    masks_differ |= Content(first).positions != Content(second).positions;
  }
  EXPECT_TRUE(masks_differ);
}

TEST_F(LoaderTest, LanesDoNotDependOnHowTheyAreCut) {
  for (const MaskingStrategy strategy : {MaskingStrategy::single_token, MaskingStrategy::whole_word,
                                         MaskingStrategy::token_span, MaskingStrategy::word_span}) {
    const Loader loader(data_,
                        {.seed = 9, .global_batch = 8, .predictions = 3, .strategy = strategy});
    Batch whole, part;
    for (int64_t step = 0; step < 12; ++step) {
      loader.load(step, 0, 8, whole);
      for (const int64_t lanes : {1, 2, 4}) {
        for (int64_t first = 0; first < 8; first += lanes) {
          loader.load(step, first, lanes, part);
          for (int64_t lane = 0; lane < lanes; ++lane) {
            EXPECT_EQ(part.samples[lane], whole.samples[first + lane]);
            EXPECT_TRUE(std::equal(part.masked_ids.as<int32_t>() + lane * kSeq,
                                   part.masked_ids.as<int32_t>() + (lane + 1) * kSeq,
                                   whole.masked_ids.as<int32_t>() + (first + lane) * kSeq));
          }
        }
      }
    }
  }
}

// Each strategy of the configuration reaches the masking.
TEST_F(LoaderTest, StrategiesDiffer) {
  std::set<std::vector<int32_t>> positions;
  for (const MaskingStrategy strategy : {MaskingStrategy::single_token, MaskingStrategy::whole_word,
                                         MaskingStrategy::token_span, MaskingStrategy::word_span}) {
    const Loader loader(data_, {.global_batch = 8, .predictions = 4, .strategy = strategy});
    const Loader long_spans(
        data_,
        {.global_batch = 8, .predictions = 4, .strategy = strategy, .min_span = 4, .max_span = 6});
    Batch a, b;
    loader.load(0, 0, 8, a);
    long_spans.load(0, 0, 8, b);
    positions.insert(Content(a).positions);
    const bool has_spans = strategy >= MaskingStrategy::token_span;
    EXPECT_EQ(Content(a).positions != Content(b).positions, has_spans);
  }
  EXPECT_EQ(positions.size(), 4u);
}

TEST_F(LoaderTest, CacheDoesNotChangeTheData) {
  // Room for a chunk or two a lane, which is less than all, and for all.
  const Loader small(data_, {.global_batch = 8, .predictions = 3, .lanes = 1});
  const Loader large(data_, {.global_batch = 8, .predictions = 3});
  Batch a, b;
  for (int64_t step = 0; step < 20; ++step) {
    small.load(step, 0, 8, a);
    large.load(step, 0, 8, b);
    EXPECT_EQ(Content(a), Content(b));
  }
}

TEST_F(LoaderTest, TruncationForTheFunnel) {
  const Loader plain(data_, {.global_batch = 8, .predictions = 3});
  const Loader funnel(data_, {.global_batch = 8, .predictions = 3, .funnel_stride = 4});
  Batch a, b;
  plain.load(0, 0, 8, a);
  funnel.load(0, 0, 8, b);
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(Content(a).segments, Content(b).segments);
  for (int64_t row = 0; row < 8; ++row) {
    for (int64_t i = 0; i < kSeq; ++i) {
      const int32_t expected = i < kSeq - 4    ? a.input_ids.as<int32_t>()[row * kSeq + i]
                               : i == kSeq - 4 ? 3
                                               : 0;
      EXPECT_EQ(b.input_ids.as<int32_t>()[row * kSeq + i], expected);
      EXPECT_EQ(b.padded.as<uint8_t>()[row * kSeq + i], i > kSeq - 4);
    }
    for (int64_t i = 0; i < 3; ++i) EXPECT_LT(b.positions.as<int32_t>()[row * 3 + i], kSeq - 4);
  }
}

// Rows with padding, and rows without a segment B.
TEST(LoaderPadding, FlagsSegmentsAndPredictions) {
  const testing::TemporaryFolder folder;
  const Vocabulary vocabulary = testing::vocabulary_of_size(50);
  DataIndex index = testing::index_for(vocabulary, kSeq, 4);
  index.packing = PackingMode::electra;
  ShardWriter writer(folder / "d", index, 4);
  // Lengths with and without padding; 14 and 13 are the border of truncation for a stride of 4.
  struct Row {
    int64_t a, length;
    bool has_b;
  };
  const std::vector<Row> rows{{5, 16, true}, {14, 16, false}, {1, 3, false}, {1, 5, true},
                              {4, 13, true}, {11, 13, false}, {4, 14, true}};
  for (const Row& row : rows) {
    std::vector<int32_t> ids(kSeq, vocabulary.special().pad);
    for (int64_t i = 0; i < row.length; ++i) ids[i] = static_cast<int32_t>(10 + i);
    ids[0] = vocabulary.special().cls;
    ids[row.a + 1] = ids[row.length - 1] = vocabulary.special().sep;
    writer.add(ids, row.a);
  }
  writer.finish(vocabulary, 100);
  const Mixture data = Mixture::open({{folder / "d"}});
  for (const int64_t stride : {1, 4}) {
    const int64_t full = kSeq - (stride - 1), predictions = 6;
    const Loader loader(data,
                        {.global_batch = 7, .predictions = predictions, .funnel_stride = stride});
    Batch batch;
    loader.load(0, 0, 7, batch);
    int64_t absent = 0;
    for (int64_t lane = 0; lane < 7; ++lane) {
      const Row& row = rows.at(batch.samples[lane].example);
      const int64_t length = std::min(row.length, full);
      for (int64_t i = 0; i < kSeq; ++i) {
        EXPECT_EQ(batch.padded.as<uint8_t>()[lane * kSeq + i], i >= length);
        EXPECT_EQ(batch.input_ids.as<int32_t>()[lane * kSeq + i] == 0, i >= length);
        const int expected = i == 0 ? 2 : row.has_b && i >= row.a + 2 && i < row.length ? 1 : 0;
        EXPECT_EQ(batch.segments.as<uint8_t>()[lane * kSeq + i], expected)
            << row.length << ' ' << i;
      }
      EXPECT_EQ(batch.input_ids.as<int32_t>()[lane * kSeq + length - 1], 3);
      const int64_t wanted =
          length == full
              ? predictions
              : std::max<int64_t>(
                    1, std::llround(6.0 * static_cast<double>(length) / static_cast<double>(full)));
      for (int64_t slot = 0; slot < predictions; ++slot) {
        const int32_t target = batch.targets.as<int32_t>()[lane * predictions + slot];
        EXPECT_EQ(target == kNoTarget, slot >= wanted);
        absent += target == kNoTarget;
      }
    }
    EXPECT_EQ(batch.absent_targets, absent);
    EXPECT_GT(absent, 0);
  }
}

TEST_F(LoaderTest, NothingIsAllocatedAfterTheFirstBatch) {
  const Loader loader(data_, {.global_batch = 8, .predictions = 3});
  Batch batch;
  loader.load(0, 0, 8, batch);
  const int64_t before = Buffer::allocations();
  const void* memory = batch.input_ids.data();
  for (int64_t step = 1; step < 30; ++step) loader.load(step, 0, 8, batch);
  loader.load(30, 2, 4, batch);
  EXPECT_EQ(Buffer::allocations(), before);
  EXPECT_EQ(batch.input_ids.data(), memory);
}

TEST_F(LoaderTest, Errors) {
  testing::expect_error(ExitCode::kUsage, {"predictions", "at most 13", "found 14"},
                        [&] { Loader(data_, {.global_batch = 1, .predictions = 14}); });
  testing::expect_error(ExitCode::kUsage, {"global_batch", "found 0"},
                        [&] { Loader(data_, {.global_batch = 0, .predictions = 1}); });
  testing::expect_error(ExitCode::kUsage, {"seq_len", "found 16"}, [&] {
    Loader(data_, {.global_batch = 1, .predictions = 1, .funnel_stride = 16});
  });
  // Truncation takes <sep>, three <pad>, and leaves <cls>; the <sep> behind A may stay.
  testing::expect_error(ExitCode::kUsage, {"predictions", "at most 10", "found 11"}, [&] {
    Loader(data_, {.global_batch = 1, .predictions = 11, .funnel_stride = 4});
  });
  const Loader loader(data_, {.global_batch = 1, .predictions = 10, .funnel_stride = 4});
  Batch batch;
  for (int64_t step = 0; step < kExamples; ++step) loader.load(step, 0, 1, batch);
}

}  // namespace
}  // namespace funnel
