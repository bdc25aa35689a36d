// SPDX-License-Identifier: Apache-2.0
// From pooled vectors back to one vector per token: repeat each to full length, add the first
// block's output, run a few ordinary layers. There is no norm, dropout or projection after the sum.
#pragma once

#include <string>
#include <vector>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/layers/transformer_layer.h"
#include "core/model/model_config.h"
#include "core/ops/upsample.h"

namespace funnel {

class FunnelDecoder {
 public:
  struct Saved {
    Tensor sum;                                         // [batch * seq, width], the layers' input
    std::vector<TransformerLayer::Saved> applications;  // in order, repeats counted
    ConstTensor output;                                 // [batch * seq, width]
  };

  // Registers path/layer_L/….
  FunnelDecoder(Params& params, const std::string& path, const FunnelConfig& config);

  // saved.output from pooled [batch * seq_last, width] and first_block [batch * seq, width].
  void forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor pooled,
               ConstTensor first_block, Saved& saved) const;
  // dy [batch * seq, width] becomes the gradient of first_block; dpooled [batch * seq_last, width]
  // is overwritten.
  void backward(Step& step, Site site, const AttentionPlan& plan, const Saved& saved, Tensor dy,
                Tensor dpooled) const;

 private:
  FunnelConfig config_;
  Upsample upsample_;
  std::vector<TransformerLayer> layers_;
};

}  // namespace funnel
