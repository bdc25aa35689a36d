// SPDX-License-Identifier: Apache-2.0
#include "core/model/funnel_decoder.h"

#include "core/model/funnel_encoder.h"

namespace funnel {
namespace {

Site application_site(Site site, int64_t layer, int64_t repeat) {
  return site / "layer" / layer / "repeat" / repeat;
}

}  // namespace

FunnelDecoder::FunnelDecoder(Params& params, const std::string& path, const FunnelConfig& config)
    : config_(config) {
  for (int64_t l = 0; l < config.decoder.layers; ++l) {
    layers_.emplace_back(params, concat(path, "/layer_", l), layer_sizes(config));
  }
}

void FunnelDecoder::forward(Step& step, Site site, const AttentionPlan& plan, ConstTensor x,
                            Saved& saved) const {
  saved.applications.clear();
  for (int64_t l = 0; l < config_.decoder.layers; ++l) {
    for (int64_t r = 0; r < config_.decoder.repeats; ++r) {
      Tensor y = step.saved.tensor(x.shape(), x.dtype());
      layers_[l].forward(step, application_site(site, l, r), plan, x, x, y,
                         saved.applications.emplace_back());
      x = y;
    }
  }
  saved.output = x;
}

void FunnelDecoder::backward(Step& step, Site site, const AttentionPlan& plan, const Saved& saved,
                             Tensor dy) const {
  size_t application = saved.applications.size();
  for (int64_t l = config_.decoder.layers; l-- > 0;) {
    for (int64_t r = config_.decoder.repeats; r-- > 0;) {
      layers_[l].backward(step, application_site(site, l, r), plan,
                          saved.applications[--application], dy, dy);
    }
  }
}

}  // namespace funnel
