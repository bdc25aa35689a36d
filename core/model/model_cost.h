// SPDX-License-Identifier: Apache-2.0
// What a model costs, counted from its configuration: parameters, and floating-point operations of
// its matrix products (a multiply-add is two) in one forward pass of one sequence.
//
// Left out as small or paid once per batch: softmax, LayerNorm, dropout, pooling, and the
// projection of the sinusoid tables.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/model_config.h"

namespace funnel {

// Parameters of one network and of the heads that may stand on it.
struct ParameterCounts {
  int64_t embedding = 0;         // the table and its LayerNorm; ELECTRA's networks share them
  int64_t input_projection = 0;  // 0 where the embeddings are as wide as the model
  int64_t layer = 0;             // one layer
  int64_t encoder_layers = 0;
  int64_t decoder_layers = 0;
  int64_t mlm_head = 0;  // its softmax matrix is the embedding table
  int64_t discriminator_head = 0;

  int64_t encoder() const { return embedding + input_projection + encoder_layers; }
  int64_t network() const { return encoder() + decoder_layers; }
};

ParameterCounts count_parameters(const FunnelConfig& config);

// Parameters trained under an objective.
struct PretrainParameterCounts {
  int64_t network = 0;    // encoder and decoder, with the embedding
  int64_t head = 0;       // the MLM head, or the discriminator's
  int64_t generator = 0;  // what ELECTRA's generator adds to the shared embedding; 0 for MLM
  int64_t total() const { return network + head + generator; }
};

PretrainParameterCounts count_parameters(const PretrainConfig& config);

// How the position term of attention is computed: left out of the count, by the shift of scores
// against a table of distances (this engine), or factorised into sines and cosines (TPU code).
enum class PositionScores { not_counted, shifted, factorized };

// Forward operations of one application of a layer with `queries` and `keys` positions.
struct LayerFlops {
  int64_t projections = 0;  // q, k, v and output
  int64_t content = 0;      // scores against the keys, and the weighted sum of the values
  int64_t position = 0;
  int64_t segment = 0;
  int64_t feed_forward = 0;
  int64_t total() const { return projections + content + position + segment + feed_forward; }
};

// A run of equal layer applications.
struct LayerRun {
  int64_t block = 0;  // of the encoder; the decoder has none
  bool is_decoder = false;
  bool is_pooling = false;  // the first application in a block after the first
  int64_t applications = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  LayerFlops flops{};  // of one application
  int64_t total() const { return applications * flops.total(); }
};

// All layers in order of execution.
std::vector<LayerRun> layer_runs(const FunnelConfig& config, int64_t seq, PositionScores position);

// Forward operations of a network without heads.
struct NetworkFlops {
  int64_t input_projection = 0;
  int64_t encoder_layers = 0;
  int64_t decoder_layers = 0;
  int64_t encoder() const { return input_projection + encoder_layers; }
  int64_t total() const { return encoder() + decoder_layers; }
};

NetworkFlops network_flops(const FunnelConfig& config, int64_t seq, PositionScores position);

// Operations of one training step, per sequence, with `predictions` predicted positions.
struct StepFlops {
  int64_t network = 0;
  int64_t head = 0;       // MLM head and softmax, or discriminator head
  int64_t generator = 0;  // 0 for MLM
  int64_t generator_head = 0;
  int64_t forward() const { return network + head + generator + generator_head; }
  // The backward pass multiplies twice for each product of the forward pass.
  int64_t training() const { return 3 * forward(); }
};

StepFlops step_flops(const PretrainConfig& config, int64_t seq, int64_t predictions,
                     PositionScores position = PositionScores::shifted);

// Applied layers, each weighted by the share of positions left to it: the sum over blocks of
// applications / 2^block.
double weighted_depth(const FunnelConfig& config);

// The measure that the Funnel-Transformer project draws its models against ("relative FLOPs"):
// weighted_depth * width^2 of the encoder, where L12H768 is 1.
double relative_cost(const FunnelConfig& config);

}  // namespace funnel
