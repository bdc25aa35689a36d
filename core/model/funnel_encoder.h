// SPDX-License-Identifier: Apache-2.0
// The funnel: blocks of layers, each block after the first at half the length of the one before.
// The first layer application of such a block pools its queries and still sees the unpooled keys
// (pool_query_only).
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
    std::vector<BlockPlan> plans;    // masks, segments, positions
    std::vector<Tensor> pooled;      // [batch * seq_b, width], b >= 1
    std::vector<ConstTensor> entry;  // [batch * seq_{b-1}, width], what was pooled
    std::vector<TransformerLayer::Saved> applications;  // in order, repeats counted
    ConstTensor first_block;                            // [batch * seq, width], block 0's output
    ConstTensor output;                                 // [batch * seq_last, width]
  };

  // Registers path/block_B/layer_L/….
  FunnelEncoder(Params& params, const std::string& path, const FunnelConfig& config);

  // saved.output and saved.first_block from x [batch * seq, width].
  void forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x, Saved& saved);
  // dx [batch * seq, width]. doutput [batch * seq_last, width] is consumed (overwritten).
  // dfirst_block [batch * seq, width] joins the gradient at block 0's output; null if there is
  // none.
  void backward(Step& step, Site site, const Saved& saved, Tensor doutput, ConstTensor dfirst_block,
                Tensor dx) const;

 private:
  bool is_pooling(size_t block, int64_t layer, int64_t repeat) const {
    return block > 0 && layer == 0 && repeat == 0;
  }
  ConstTensor pool(Step& step, size_t block, ConstTensor x, Saved& saved) const;
  void pool_backward(Step& step, size_t block, const Saved& saved, ConstTensor dpooled, Tensor dx,
                     bool adds) const;
  void backward_pooling_layer(Step& step, Site site, size_t block, const Saved& saved,
                              const TransformerLayer::Saved& layer, Tensor dpooled,
                              Tensor dx) const;

  FunnelConfig config_;
  PositionTables tables_;
  std::vector<std::vector<TransformerLayer>> blocks_;
};

// The sizes of a network's layers.
TransformerLayerSizes layer_sizes(const FunnelConfig& config);

}  // namespace funnel
