// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "core/base/error.h"
#include "data/masking_spans.h"
#include "data/sampler.h"

namespace funnel {

// Chunks in memory; the one used longest ago gives way. Each lane walks one chunk at a time, so a
// chunk is read once as long as there are as many slots as lanes.
class Loader::ChunkCache {
 public:
  ChunkCache(const DataSet& data, int64_t cache_bytes) : data_(data) {
    const int64_t slot_bytes = align_up(data.chunk_rows() * (data.seq_len() + 1) * 4);
    const int64_t slots = std::clamp<int64_t>(cache_bytes / slot_bytes, 1, data.chunks());
    memory_ = Buffer(Device::cpu, slots * slot_bytes);
    for (int64_t i = 0; i < slots; ++i) slots_.push_back({-1, 0, memory_.data() + i * slot_bytes});
    slot_of_chunk_.assign(static_cast<size_t>(data.chunks()), -1);
  }

  // Copies an example's ids to `ids` [seq_len]; gives its segment_a_length.
  int64_t copy_example(int64_t example, int32_t* ids) {
    const std::lock_guard lock(mutex_);
    const int64_t chunk = example / data_.chunk_rows(), row = example % data_.chunk_rows();
    Slot& slot = slot_with(chunk);
    slot.last_use = ++uses_;
    std::copy_n(ids_of(slot).as<int32_t>() + row * data_.seq_len(), data_.seq_len(), ids);
    return lengths_of(slot).as<int32_t>()[row];
  }

 private:
  struct Slot {
    int64_t chunk;
    int64_t last_use;
    char* memory;
  };

  Tensor ids_of(const Slot& slot) const {
    return Tensor(slot.memory, {data_.rows_of(slot.chunk), data_.seq_len()}, DType::i32);
  }
  Tensor lengths_of(const Slot& slot) const {
    return Tensor(slot.memory + ids_of(slot).bytes(), {data_.rows_of(slot.chunk)}, DType::i32);
  }

  Slot& slot_with(int64_t chunk) {
    int32_t& known = slot_of_chunk_[static_cast<size_t>(chunk)];
    if (known >= 0) return slots_[static_cast<size_t>(known)];
    const auto oldest =
        std::min_element(slots_.begin(), slots_.end(),
                         [](const Slot& a, const Slot& b) { return a.last_use < b.last_use; });
    if (oldest->chunk >= 0) slot_of_chunk_[static_cast<size_t>(oldest->chunk)] = -1;
    // Should the read fail, the slot stays free.
    oldest->chunk = -1;
    Slot filled{chunk, oldest->last_use, oldest->memory};
    data_.read_chunk(chunk, ids_of(filled), lengths_of(filled));
    *oldest = filled;
    known = static_cast<int32_t>(oldest - slots_.begin());
    return *oldest;
  }

  const DataSet& data_;
  std::mutex mutex_;
  Buffer memory_;
  std::vector<Slot> slots_;
  std::vector<int32_t> slot_of_chunk_;
  int64_t uses_ = 0;
};

// The orders of the two epochs last asked for: a batch may lie across the border of two.
class Loader::EpochOrders {
 public:
  EpochOrders(const DataSet& data, uint64_t seed) : data_(data), seed_(seed) {}

  int64_t example(int64_t epoch, int64_t position) {
    const std::lock_guard lock(mutex_);
    std::optional<EpochOrder>& order = orders_[epoch % 2];
    if (!order || order->epoch() != epoch) {
      order.emplace(seed_, epoch, data_.examples(), data_.chunk_rows());
    }
    return order->example(position);
  }

 private:
  const DataSet& data_;
  uint64_t seed_;
  std::mutex mutex_;
  std::optional<EpochOrder> orders_[2];
};

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

}  // namespace

Loader::Loader(const DataSet& data, LoaderConfig config)
    : data_(data), config_(config), word_starts_(word_starts(data.vocabulary())) {
  FUNNEL_CHECK_INPUT(config.global_batch >= 1, "global_batch: expected at least 1, found ",
                     config.global_batch);
  FUNNEL_CHECK_INPUT(config.funnel_stride >= 1 && config.funnel_stride <= data.seq_len() / 2,
                     "seq_len: expected at least twice the stride of the last block, ",
                     config.funnel_stride, ", found ", data.seq_len());
  validate(masking_config());
  const int64_t candidates = data.seq_len() - 3 - (config.funnel_stride - 1);
  FUNNEL_CHECK_INPUT(config.predictions <= candidates, "predictions: expected at most ", candidates,
                     " of ", data.seq_len(), " tokens, found ", config.predictions);
  chunks_ = std::make_unique<ChunkCache>(data, config.cache_bytes);
  orders_ = std::make_unique<EpochOrders>(data, config.seed);
}

Loader::~Loader() = default;

MaskingConfig Loader::masking_config() const {
  const DataIndex& index = data_.index();
  return {.seed = config_.seed,
          .predictions = config_.predictions,
          .strategy = config_.strategy,
          .min_span = config_.min_span,
          .max_span = config_.max_span,
          .leak_ratio = config_.leak_ratio,
          .rand_ratio = config_.rand_ratio,
          .vocab = index.vocab,
          .special = index.special,
          .full_length = index.seq_len - (config_.funnel_stride - 1),
          .word_starts = word_starts_};
}

double Loader::epochs(int64_t step) const {
  return static_cast<double>(step) * static_cast<double>(config_.global_batch) /
         static_cast<double>(data_.examples());
}

void Loader::load(int64_t step, int64_t first_lane, int64_t lanes, Batch& out) const {
  FUNNEL_CHECK(first_lane >= 0 && lanes >= 1 && first_lane + lanes <= config_.global_batch,
               "loader: no lanes [", first_lane, ", ", first_lane + lanes,
               ") in a global batch of ", config_.global_batch);
  const DataIndex& index = data_.index();
  const MaskingConfig masking = masking_config();
  out.resize(lanes, index.seq_len, config_.predictions);
  out.step = step;
  out.absent_targets = lanes * config_.predictions;
  out.first_lane = first_lane;
  out.first_sample = step * config_.global_batch + first_lane;
  const auto seq = static_cast<size_t>(index.seq_len);
  const auto predictions = static_cast<size_t>(config_.predictions);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const EpochPosition at =
        epoch_position(data_.examples(), config_.global_batch, step, first_lane + lane);
    const int64_t order = config_.same_order_every_epoch ? 0 : at.epoch;
    const int64_t example = orders_->example(order, at.position);
    out.example_ids[static_cast<size_t>(lane)] = example;
    const std::span<int32_t> ids(out.input_ids.as<int32_t>() + lane * index.seq_len, seq);
    const int64_t segment_a_length = chunks_->copy_example(example, ids.data());
    const ExampleLayout layout = layout_of(ids, segment_a_length, index.special.pad);
    fill_segments({out.segments.as<uint8_t>() + lane * index.seq_len, seq}, layout);
    const int64_t length = truncate(ids, layout.length, config_.funnel_stride, index.special);
    uint8_t* padded = out.padded.as<uint8_t>() + lane * index.seq_len;
    std::fill_n(padded, length, uint8_t{0});
    std::fill_n(padded + length, index.seq_len - length, uint8_t{1});
    out.absent_targets -=
        mask_example(masking, at.epoch, example, ids,
                     {{out.masked_ids.as<int32_t>() + lane * index.seq_len, seq},
                      {out.positions.as<int32_t>() + lane * config_.predictions, predictions},
                      {out.targets.as<int32_t>() + lane * config_.predictions, predictions}});
  }
}

}  // namespace funnel
