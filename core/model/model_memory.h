// SPDX-License-Identifier: Apache-2.0
// What training keeps in memory, counted from the configuration: the activations that the forward
// pass of one micro-batch leaves for the backward pass, by what owns them, and the size of the flat
// buffers. Every size is in bytes and as the saved arena rounds it, so that the sums are what the
// arena reports while all of it fits into the arena's first chunk. (Beyond, the ends of chunks that
// a tensor did not fit into come on top.)
//
// Left out: scratch, the sinusoid tables without dropout (kept once for the run), the batch itself.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/types.h"
#include "core/model/model_config.h"
#include "core/model/model_cost.h"

namespace funnel {

struct MicroBatch {
  int64_t batch = 1;
  int64_t seq = 512;
  int64_t predictions = 85;
  bool has_segments = true;
  bool has_hidden = true;
  bool training = true;      // with dropout, where the model has some
  DType dtype = DType::f32;  // of activations
};

// A run of equal layer applications.
struct LayerMemory {
  LayerRun run;
  int64_t one = 0;  // application
  int64_t total() const { return run.applications * one; }
};

struct NetworkMemory {
  int64_t embedding = 0;
  int64_t input_projection = 0;
  int64_t plans = 0;    // pooled segments and flags, dropped-out position tables
  int64_t pooling = 0;  // pooled hidden states
  std::vector<LayerMemory> layers;
  int64_t upsampling = 0;
  int64_t total() const;
};

struct SavedMemory {
  NetworkMemory network;    // the MLM network or the discriminator
  int64_t head = 0;         // the MLM head's or the discriminator head's
  NetworkMemory generator;  // nothing for MLM
  int64_t generator_head = 0;
  int64_t replacement = 0;  // the generator's samples, the replaced ids and their labels
  int64_t total() const;
};

SavedMemory saved_memory(const PretrainConfig& config, const MicroBatch& batch);

// Elements of the flat buffers of values, of gradients and of each moment: every parameter and the
// gaps between them.
int64_t flat_elements(const PretrainConfig& config);

}  // namespace funnel
