// SPDX-License-Identifier: Apache-2.0
// Fills batches: sampler, chunk cache, truncation for the funnel, masking. What a batch holds is a
// pure function of (data sets, config, step, lanes).
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "data/chunk_cache.h"
#include "data/masking.h"
#include "data/mixture.h"
#include "data/sampler.h"

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
  // Lanes that are asked for again and again, a rank's share; 0: all. Two chunks are kept for each.
  int64_t lanes = 0;
};

// Keeps a reference to the data. May be used by several threads.
class Loader {
 public:
  // Throws an input error when a field does not fit the data set.
  Loader(const Mixture& data, LoaderConfig config);
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Fills lanes [first_lane, first_lane + lanes) of a step. Overwrites `out`; allocates nothing
  // once `out` has held as many lanes. Throws Error: see DataSet::read_chunk and mask_example.
  void load(int64_t step, int64_t first_lane, int64_t lanes, Batch& out) const;

  const Mixture& data() const { return data_; }
  const LoaderConfig& config() const { return config_; }

 private:
  // Fills one row of a batch.
  void load_lane(int64_t step, int64_t lane, int64_t row, Batch& out) const;

  const Mixture& data_;
  LoaderConfig config_;
  std::vector<uint8_t> word_starts_;  // [vocab]
  MaskingConfig masking_;
  Sampler sampler_;
  mutable ChunkCache chunks_;
};

}  // namespace funnel
