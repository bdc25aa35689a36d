// SPDX-License-Identifier: Apache-2.0
// ELECTRA on a funnel: a small generator fills the selected positions, the discriminator tells
// originals from replacements, both are trained at once:
//     loss = mlm_loss(generator) + weight * discriminator_loss
// The networks share the embedding table and its norm. (Clark et al., arXiv 2003.10555;
// laiguokun/Funnel-Transformer, tensorflow/pretrain.py)
#pragma once

#include "core/layers/embedding.h"
#include "core/layers/heads.h"
#include "core/model/funnel_network.h"
#include "core/model/mlm.h"
#include "core/model/model_config.h"
#include "core/model/pretrain_batch.h"

namespace funnel {

class Electra {
 public:
  struct Saved {
    MlmNetwork::Saved generator;
    Tensor samples;       // [batch * predictions] i32, what the generator wrote
    Tensor replaced_ids;  // [batch, seq] i32
    Tensor labels;        // [batch, seq] u8
    Embedding::Saved embedding;
    Tensor embedded;  // [batch * seq, embedding_width]
    FunnelNetwork::Saved discriminator;
    DiscriminatorHead::Saved head;
  };

  Electra(Params& params, const PretrainConfig& config);
  Electra(const Electra&) = delete;  // its parts refer to one another
  Electra& operator=(const Electra&) = delete;

  // metrics [PretrainMetrics::kCount] f64 is overwritten. Parameter gradients must have
  // been cleared: those of the loss are accumulated by forward and backward together.
  void forward(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved);
  void backward(Step& step, Saved& saved) const;

 private:
  void replace(Step& step, const PretrainBatch& batch, Saved& saved) const;
  void discriminate(Step& step, const PretrainBatch& batch, Saved& saved);
  void judge(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved) const;

  PretrainConfig config_;
  Embedding embedding_;
  FunnelNetwork discriminator_;
  DiscriminatorHead head_;
  MlmNetwork generator_;
};

}  // namespace funnel
