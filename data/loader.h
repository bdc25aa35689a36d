// SPDX-License-Identifier: Apache-2.0
// Fills batches: sampler, chunk cache, truncation for the funnel, masking. What a batch holds is a
// pure function of (data set, config, step, lanes).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "data/data_set.h"
#include "data/masking.h"

namespace funnel {

struct LoaderConfig {
  uint64_t seed = 0;
  int64_t global_batch = 1;
  int64_t predictions = 85;
  MaskingStrategy strategy = MaskingStrategy::single_token;
  int64_t min_span = 1;
  int64_t max_span = 5;
  double leak_ratio = 0.1;
  double rand_ratio = 0.1;
  // The stride of the last block, 2^(blocks - 1), when the model has separate_cls and truncate_seq;
  // else 1. With a stride S > 1 the last S tokens give way to one <sep> and S - 1 <pad>: exactly
  // the positions that pooling drops and upsampling leaves empty. Their segments stay.
  int64_t funnel_stride = 1;
  // Every epoch in the order of the first; masks still change.
  bool same_order_every_epoch = false;
  int64_t cache_bytes = int64_t{256} << 20;  // for chunks that lanes are walking through
};

// Keeps a reference to the data set. May be used by several threads.
class Loader {
 public:
  // Throws an input error when a field does not fit the data set.
  Loader(const DataSet& data, LoaderConfig config);
  ~Loader();

  // Fills lanes [first_lane, first_lane + lanes) of a step. Overwrites `out`; allocates nothing
  // once `out` has held as many lanes. Throws Error: see DataSet::read_chunk and mask_example.
  void load(int64_t step, int64_t first_lane, int64_t lanes, Batch& out) const;

  const DataSet& data() const { return data_; }
  const LoaderConfig& config() const { return config_; }

  // Epochs begun once `step` steps are done, with a fraction.
  double epochs(int64_t step) const;

 private:
  class ChunkCache;
  class EpochOrders;

  MaskingConfig masking_config() const;

  const DataSet& data_;
  LoaderConfig config_;
  std::vector<uint8_t> word_starts_;  // [vocab]
  std::unique_ptr<ChunkCache> chunks_;
  std::unique_ptr<EpochOrders> orders_;
};

}  // namespace funnel
