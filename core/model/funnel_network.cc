// SPDX-License-Identifier: Apache-2.0
#include "core/model/funnel_network.h"

namespace funnel {
namespace {

std::optional<Linear> input_projection(Params& params, const std::string& prefix,
                                       const FunnelConfig& config) {
  if (config.embedding_width == config.width) return std::nullopt;
  return Linear(params, prefix + "input_projection", config.embedding_width, config.width, true);
}

}  // namespace

FunnelNetwork::FunnelNetwork(Params& params, const std::string& prefix, const FunnelConfig& config)
    : config_(config),
      decoder_tables_(params.dtype(), config.width),
      projection_(input_projection(params, prefix, config)),
      encoder_(params, prefix + "encoder", config) {
  if (config.has_decoder()) decoder_.emplace(params, prefix + "decoder", config);
}

void FunnelNetwork::forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x,
                            Saved& saved) {
  if (projection_) {
    Tensor projected = step.saved.tensor({x.rows(), config_.width}, x.dtype());
    projection_->forward(step, x, projected, saved.projection);
    x = projected;
  }
  encoder_.forward(step, site / "encoder", inputs, x, saved.encoder);
  saved.output = saved.encoder.outputs.back();
  if (decoder_) {
    saved.decoder_plan = plan_decoder(step, site / "decoder", config_, decoder_tables_,
                                      saved.encoder.plans.front().self);
    decoder_->forward(step, site / "decoder", saved.decoder_plan, saved.encoder.upsampled,
                      saved.decoder);
    saved.output = saved.decoder.output;
  }
}

void FunnelNetwork::backward(Step& step, Site site, const Saved& saved, Tensor doutput,
                             Tensor dx) const {
  Scratch scratch(step.context.scratch());
  Tensor dprojected = projection_ ? scratch.tensor({dx.rows(), config_.width}, dx.dtype()) : dx;
  if (decoder_) {
    decoder_->backward(step, site / "decoder", saved.decoder_plan, saved.decoder, doutput);
  }
  encoder_.backward(step, site / "encoder", saved.encoder, doutput, dprojected);
  if (projection_) projection_->backward(step, saved.projection, dprojected, dx);
}

}  // namespace funnel
