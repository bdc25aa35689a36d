// SPDX-License-Identifier: Apache-2.0
// One vector per token: a few ordinary layers over the pooled vectors repeated to full length plus
// the first block's output. The encoder's last norm makes that sum; there is no norm, dropout or
// projection after it.
#pragma once

#include <string>
#include <vector>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/layers/transformer_layer.h"
#include "core/model/model_config.h"

namespace funnel {

class FunnelDecoder {
 public:
  struct Saved {
    std::vector<TransformerLayer::Saved> applications;  // in order, repeats counted
    ConstTensor output;                                 // [batch * seq, width]
  };

  // Registers path/layer_L/….
  FunnelDecoder(Params& params, const std::string& path, const FunnelConfig& config);

  // saved.output from x [batch * seq, width].
  void forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x, Saved& saved) const;
  // dy [batch * seq, width] becomes the gradient of x.
  void backward(Step& step, Site site, const AttentionPlan& plan, const Saved& saved,
                Tensor dy) const;

 private:
  FunnelConfig config_;
  std::vector<TransformerLayer> layers_;
};

}  // namespace funnel
