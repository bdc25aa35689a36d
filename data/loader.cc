// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/masking_spans.h"

namespace funnel {
namespace {

// Makes room for the funnel at the end of an example that reaches so far; gives the tokens left.
int64_t truncate(std::span<int32_t> ids, int64_t length, int64_t stride,
                 const SpecialIds& special) {
  const int64_t longest = static_cast<int64_t>(ids.size()) - (stride - 1);
  if (length <= longest) return length;
  ids[static_cast<size_t>(longest - 1)] = special.sep;
  std::fill(ids.begin() + longest, ids.end(), special.pad);
  return longest;
}

// <cls> is 2, A and its <sep> 0, B and its <sep> 1, padding 0.
void fill_segments(std::span<uint8_t> segments, const ExampleLayout& layout) {
  std::fill(segments.begin(), segments.end(), uint8_t{0});
  segments[0] = 2;
  if (!layout.has_b()) return;
  std::fill(segments.begin() + 2 + layout.segment_a, segments.begin() + layout.length, uint8_t{1});
}

int64_t slots(const LoaderConfig& config) {
  constexpr int64_t kSpare = 8;  // while lanes go from one chunk to the next at different times
  return 2 * (config.lanes > 0 ? config.lanes : config.global_batch) + kSpare;
}

void check(const Mixture& data, const LoaderConfig& config) {
  FUNNEL_CHECK_INPUT(config.global_batch >= 1, "global_batch: expected at least 1, found ",
                     config.global_batch);
  FUNNEL_CHECK_INPUT(config.funnel_stride >= 1 && config.funnel_stride <= data.seq_len() / 2,
                     "seq_len: expected at least twice the stride of the last block, ",
                     config.funnel_stride, ", found ", data.seq_len());
  const int64_t candidates = data.seq_len() - 3 - (config.funnel_stride - 1);
  FUNNEL_CHECK_INPUT(config.predictions <= candidates, "predictions: expected at most ", candidates,
                     " of ", data.seq_len(), " tokens, found ", config.predictions);
}

}  // namespace

Loader::Loader(const Mixture& data, LoaderConfig config)
    : data_(data),
      config_((check(data, config), config)),
      word_starts_(word_starts(data.vocabulary())),
      masking_{.seed = config.seed,
               .predictions = config.predictions,
               .strategy = config.strategy,
               .min_span = config.min_span,
               .max_span = config.max_span,
               .leak_ratio = config.leak_ratio,
               .rand_ratio = config.rand_ratio,
               .vocab = data.vocabulary().size(),
               .special = data.vocabulary().special(),
               .full_length = data.seq_len() - (config.funnel_stride - 1),
               .word_starts = word_starts_},
      sampler_(data.sampled_sets(), config.global_batch),
      chunks_(data, slots(config)) {
  validate(masking_);
}

void Loader::load(int64_t step, int64_t first_lane, int64_t lanes, Batch& out) const {
  FUNNEL_CHECK(first_lane >= 0 && lanes >= 1 && first_lane + lanes <= config_.global_batch,
               "loader: no lanes [", first_lane, ", ", first_lane + lanes,
               ") in a global batch of ", config_.global_batch);
  out.resize(lanes, data_.seq_len(), config_.predictions);
  out.step = step;
  out.absent_targets = lanes * config_.predictions;
  out.first_lane = first_lane;
  out.first_sample = step * config_.global_batch + first_lane;
  for (int64_t row = 0; row < lanes; ++row) load_lane(step, first_lane + row, row, out);
}

void Loader::load_lane(int64_t step, int64_t lane, int64_t row, Batch& out) const {
  const Visit visit = sampler_.visit(step, lane);
  const DataSet& set = data_.set(visit.set);
  const DataIndex& index = set.index();
  const EpochOrder order(config_.seed, visit.set, config_.same_order_every_epoch ? 0 : visit.epoch,
                         set.examples(), set.chunk_rows());
  const int64_t example = order.example(visit.position);
  out.samples[static_cast<size_t>(row)] = {visit.set, visit.epoch, example};
  const auto seq = static_cast<size_t>(index.seq_len);
  const auto predictions = static_cast<size_t>(config_.predictions);
  const std::span<int32_t> ids(out.input_ids.as<int32_t>() + row * index.seq_len, seq);
  const int64_t segment_a_length = chunks_.copy_example(visit.set, example, ids.data());
  const ExampleLayout layout = layout_of(ids, segment_a_length, index.special.pad);
  fill_segments({out.segments.as<uint8_t>() + row * index.seq_len, seq}, layout);
  const int64_t length = truncate(ids, layout.length, config_.funnel_stride, index.special);
  uint8_t* padded = out.padded.as<uint8_t>() + row * index.seq_len;
  std::fill_n(padded, length, uint8_t{0});
  std::fill_n(padded + length, index.seq_len - length, uint8_t{1});
  out.absent_targets -=
      mask_example(masking_, visit.epoch, data_.example_number(visit.set, example), ids,
                   {{out.masked_ids.as<int32_t>() + row * index.seq_len, seq},
                    {out.positions.as<int32_t>() + row * config_.predictions, predictions},
                    {out.targets.as<int32_t>() + row * config_.predictions, predictions}});
}

}  // namespace funnel
