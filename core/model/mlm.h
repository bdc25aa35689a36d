// SPDX-License-Identifier: Apache-2.0
// Masked language modelling: predict the original ids at the selected positions. As a model of its
// own and as ELECTRA's generator.
#pragma once

#include <string>

#include "core/layers/embedding.h"
#include "core/layers/heads.h"
#include "core/model/funnel_network.h"
#include "core/model/pretrain_batch.h"

namespace funnel {

// A network with an MLM head over an embedding that somebody else owns.
class MlmNetwork {
 public:
  struct Saved {
    Embedding::Saved embedding;
    Tensor embedded;  // [batch * seq, embedding_width]
    FunnelNetwork::Saved network;
    Tensor rows;  // [batch * predictions] i32, selected rows of the hidden states
    MlmHead::Saved head;
  };

  // Draws from the predictions: [batch * predictions] i32, overwritten.
  struct Draw {
    Tensor samples = {};  // null: none
    RandomStream stream = {};
  };

  MlmNetwork(Params& params, const std::string& prefix, const FunnelConfig& config,
             const Embedding& embedding);
  // A copy would keep reading the embedding of the original's owner.
  MlmNetwork(const MlmNetwork&) = delete;

  // Reads masked_ids, segments, hidden, positions and targets. Writes mlm_loss (the mean over
  // all selected positions that have a target), mlm_correct and predictions to metrics
  // [PretrainMetrics::kCount] f64. Parameter gradients must have been cleared: those of
  // the mean loss are accumulated by forward and backward together.
  void forward(Step& step, Site site, const PretrainBatch& batch, const Draw& draw, Tensor metrics,
               Saved& saved);
  void backward(Step& step, Site site, Saved& saved) const;

 private:
  FunnelConfig config_;
  const Embedding& embedding_;
  FunnelNetwork network_;
  MlmHead head_;
};

class Mlm {
 public:
  struct Saved {
    MlmNetwork::Saved network;
  };

  Mlm(Params& params, const PretrainConfig& config);
  Mlm(const Mlm&) = delete;  // its parts refer to one another
  Mlm& operator=(const Mlm&) = delete;

  // metrics [PretrainMetrics::kCount] f64 is overwritten. Both accumulate parameter gradients.
  void forward(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved);
  void backward(Step& step, Saved& saved) const;

 private:
  Embedding embedding_;
  MlmNetwork network_;
};

}  // namespace funnel
