// SPDX-License-Identifier: Apache-2.0
// A whole network from embedded tokens to one vector per token: input projection (where the
// embedding has another width), encoder, and a decoder where there is more than one block.
#pragma once

#include <optional>
#include <string>

#include "core/layers/linear.h"
#include "core/model/funnel_decoder.h"
#include "core/model/funnel_encoder.h"

namespace funnel {

class FunnelNetwork {
 public:
  struct Saved {
    Linear::Saved projection;  // [batch * seq, embedding_width], the caller's
    FunnelEncoder::Saved encoder;
    AttentionPlan decoder_plan;
    FunnelDecoder::Saved decoder;
    ConstTensor output;  // [batch * seq, width]
  };

  // Registers prefix + input_projection/…, encoder/…, decoder/….
  FunnelNetwork(Params& params, const std::string& prefix, const FunnelConfig& config);

  // saved.output from x [batch * seq, embedding_width].
  void forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x, Saved& saved);
  // dx [batch * seq, embedding_width]; doutput [batch * seq, width] is consumed (overwritten).
  void backward(Step& step, Site site, const Saved& saved, Tensor doutput, Tensor dx) const;

 private:
  FunnelConfig config_;
  PositionTables decoder_tables_;
  std::optional<Linear> projection_;
  FunnelEncoder encoder_;
  std::optional<FunnelDecoder> decoder_;
};

}  // namespace funnel
