// SPDX-License-Identifier: Apache-2.0
// What a model is: plain numbers, filled by launch/config from the text format, documented field by
// field in configs/schema.proto. Defaults are those of laiguokun/Funnel-Transformer's TensorFlow
// code for the released models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ops/pooling.h"

namespace funnel {

// How the sinusoid tables are dropped out (all agree in evaluation).
enum class PositionDropout {
  per_table,    // a fresh mask for each table; the decoder reuses block 0's table and mask
  by_distance,  // one mask over distances, gathered by all blocks; the decoder draws its own
};

// A run of layers: `layers` parameter layers, each applied `repeats` times in a row (3x2 runs A A B
// B C C).
struct BlockConfig {
  int64_t layers = 1;
  int64_t repeats = 1;
  int64_t applications() const { return layers * repeats; }
  friend bool operator==(const BlockConfig&, const BlockConfig&) = default;
};

struct FunnelConfig {
  int64_t vocab = 30522;
  int64_t embedding_width = 768;  // a projection follows when it differs from width
  int64_t width = 768;
  int64_t heads = 12;
  int64_t head_width = 64;
  int64_t inner = 3072;
  std::vector<BlockConfig> blocks{{4, 1}, {4, 1}, {4, 1}};
  BlockConfig decoder{2, 1};  // layers = 0 where there is a single block

  Pooling pooling = Pooling::mean;
  bool separate_cls = true;
  bool truncate_seq = true;
  bool pool_query_only = true;
  bool cls_mask_always = true;  // the CLS mask also without separate_cls (TF yes, PyTorch ports no)

  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  double activation_dropout = 0.0;
  PositionDropout position_dropout = PositionDropout::per_table;

  double layer_norm_epsilon = 1e-8;
  double init_std = 0.02;  // of the truncated normal, cut at two of these

  int64_t projection_width() const { return heads * head_width; }
  bool has_decoder() const { return blocks.size() > 1; }
  bool has_cls_mask() const { return separate_cls || cls_mask_always; }
};

enum class Objective { mlm, electra };

struct PretrainConfig {
  Objective objective = Objective::electra;
  FunnelConfig model;  // the network that is kept: the ELECTRA discriminator, or the MLM network

  // MLM: positions whose input is <mask> are hidden from attention as keys (TF does so).
  bool hide_mask_tokens = true;

  // ELECTRA.
  double generator_width_ratio = 0.25;  // of width, inner and heads, each truncated to an integer
  double discriminator_weight = 50.0;
  bool label_one_is_original = true;  // TF; the other polarity is google-research/electra's
};

// The generator of an ELECTRA model: the same layout at a fraction of the width.
FunnelConfig generator_config(const PretrainConfig& config);

// Throws an input error naming the field, what was expected and what was found.
void validate(const FunnelConfig& config);
void validate(const PretrainConfig& config);

// Positions in each block for an input of `seq` positions: 512, 256, 128.
std::vector<int64_t> block_lengths(const FunnelConfig& config, int64_t seq);

// "4" or "3x2", as in the text format.
std::string block_text(const BlockConfig& block);

// "B6-3x2-3x2H768" or "L12H768".
std::string layout_name(const FunnelConfig& config);

}  // namespace funnel
