// SPDX-License-Identifier: Apache-2.0
// The funnel: blocks of layers, each block after the first at half the length of the one before.
// The first layer application of such a block has pooled queries and still sees the unpooled keys
// (pool_query_only). The last norm of a block pools its output for the next one; that of the last
// block repeats it to full length and adds block 0's output, which is what a decoder begins with.
#pragma once

#include <string>
#include <vector>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/layers/transformer_layer.h"
#include "core/model/attention_plans.h"
#include "core/model/model_config.h"

namespace funnel {

class FunnelEncoder {
 public:
  struct Saved {
    std::vector<BlockPlan> plans;      // masks, segments, positions
    std::vector<Tensor> pooled;        // [batch * seq_b, width], what block b >= 1 begins with
    std::vector<ConstTensor> outputs;  // [batch * seq_b, width] of each block
    Tensor upsampled;  // [batch * seq, width], for the decoder; null for a single block
    std::vector<TransformerLayer::Saved> applications;  // in order, repeats counted
  };

  // Registers path/block_B/layer_L/….
  FunnelEncoder(Params& params, const std::string& path, const FunnelConfig& config);

  // saved.outputs and saved.upsampled from x [batch * seq, width].
  void forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x, Saved& saved);
  // dx [batch * seq, width]. dy [batch * seq, width], the gradient of saved.upsampled or, of a
  // single block, of its output, is consumed (overwritten).
  void backward(Step& step, Site site, const Saved& saved, Tensor dy, Tensor dx) const;

 private:
  bool is_pooling(size_t block, int64_t layer, int64_t repeat) const {
    return block > 0 && layer == 0 && repeat == 0;
  }
  bool is_last(size_t block, int64_t layer, int64_t repeat) const {
    return layer + 1 == config_.blocks[block].layers && repeat + 1 == config_.blocks[block].repeats;
  }
  NormOutlet outlet(Step& step, size_t block, DType dtype, Saved& saved) const;
  NormGradient backward_pooling_layer(Step& step, Site site, size_t block, const Saved& saved,
                                      const TransformerLayer::Saved& layer,
                                      const NormGradient& gradient, Tensor dpooled,
                                      KeyGradient unpooled) const;

  FunnelConfig config_;
  Upsample upsample_;
  PositionTables tables_;
  std::vector<std::vector<TransformerLayer>> blocks_;
};

// The sizes of a network's layers.
TransformerLayerSizes layer_sizes(const FunnelConfig& config);

}  // namespace funnel
