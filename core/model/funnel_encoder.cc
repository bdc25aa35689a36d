// SPDX-License-Identifier: Apache-2.0
#include "core/model/funnel_encoder.h"

#include "core/ops/elementwise.h"

namespace funnel {
namespace {

Site application_site(Site site, size_t block, int64_t layer, int64_t repeat) {
  return site / "block" / static_cast<int64_t>(block) / "layer" / layer / "repeat" / repeat;
}

}  // namespace

TransformerLayerSizes layer_sizes(const FunnelConfig& config) {
  return {.width = config.width,
          .heads = config.heads,
          .head_width = config.head_width,
          .inner = config.inner,
          .hidden_dropout = config.hidden_dropout,
          .attention_dropout = config.attention_dropout,
          .activation_dropout = config.activation_dropout,
          .epsilon = config.layer_norm_epsilon};
}

FunnelEncoder::FunnelEncoder(Params& params, const std::string& path, const FunnelConfig& config)
    : config_(config), tables_(params.dtype(), config.width), blocks_(config.blocks.size()) {
  for (size_t b = 0; b < blocks_.size(); ++b) {
    for (int64_t l = 0; l < config.blocks[b].layers; ++l) {
      blocks_[b].emplace_back(params, concat(path, "/block_", b, "/layer_", l),
                              layer_sizes(config));
    }
  }
}

ConstTensor FunnelEncoder::pool(Step& step, size_t block, ConstTensor x, Saved& saved) const {
  const BlockPlan& plan = saved.plans[block];
  const int64_t batch = plan.self.batch;
  Tensor pooled = step.saved.tensor({plan.self.q_rows(), config_.width}, x.dtype());
  const ConstTensor in = x.reshaped({batch, plan.windows.seq, config_.width});
  const Tensor out = pooled.reshaped({batch, plan.self.q_len, config_.width});
  if (config_.pooling == Pooling::mean) {
    mean_pool_forward(step.context, plan.windows, in, out);
  } else {
    max_pool_forward(step.context, plan.windows, in, out);
  }
  saved.entry[block] = x;
  saved.pooled[block] = pooled;
  return pooled;
}

void FunnelEncoder::pool_backward(Step& step, size_t block, const Saved& saved, ConstTensor dpooled,
                                  Tensor dx, bool adds) const {
  const BlockPlan& plan = saved.plans[block];
  const int64_t batch = plan.self.batch;
  const Shape unpooled{batch, plan.windows.seq, config_.width};
  const ConstTensor dy = dpooled.reshaped({batch, plan.self.q_len, config_.width});
  if (config_.pooling == Pooling::mean) {
    mean_pool_backward(step.context, plan.windows, dy, dx.reshaped(unpooled), adds);
  } else {
    max_pool_backward(step.context, plan.windows, saved.entry[block].reshaped(unpooled), dy,
                      dx.reshaped(unpooled), adds);
  }
}

void FunnelEncoder::forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x,
                            Saved& saved) {
  check_shape("funnel encoder: x", x, {inputs.batch * inputs.seq, config_.width});
  saved.plans = plan_blocks(step, site, config_, tables_, inputs);
  saved.pooled.assign(blocks_.size(), {});
  saved.entry.assign(blocks_.size(), {});
  saved.applications.clear();
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const BlockPlan& plan = saved.plans[b];
    for (int64_t l = 0; l < config_.blocks[b].layers; ++l) {
      for (int64_t r = 0; r < config_.blocks[b].repeats; ++r) {
        const bool pooling = is_pooling(b, l, r);
        const ConstTensor x_q = pooling ? pool(step, b, x, saved) : x;
        const bool unpooled_keys = pooling && config_.pool_query_only;
        Tensor y = step.saved.tensor({plan.self.q_rows(), config_.width}, x.dtype());
        blocks_[b][l].forward(step, application_site(site, b, l, r),
                              unpooled_keys ? plan.pool : plan.self, x_q, unpooled_keys ? x : x_q,
                              y, saved.applications.emplace_back());
        x = y;
      }
    }
    if (b == 0) saved.first_block = x;
  }
  saved.output = x;
}

// From the gradient at the pooled side, in place, to the gradient at the unpooled side.
void FunnelEncoder::backward_pooling_layer(Step& step, Site site, size_t block, const Saved& saved,
                                           const TransformerLayer::Saved& layer, Tensor dpooled,
                                           Tensor dx) const {
  const BlockPlan& plan = saved.plans[block];
  if (!config_.pool_query_only) {
    blocks_[block][0].backward(step, site, plan.self, layer, dpooled, dpooled, {});
    pool_backward(step, block, saved, dpooled, dx, /*adds=*/false);
    return;
  }
  blocks_[block][0].backward(step, site, plan.pool, layer, dpooled, dpooled, dx);
  pool_backward(step, block, saved, dpooled, dx, /*adds=*/true);
}

void FunnelEncoder::backward(Step& step, Site site, const Saved& saved, Tensor doutput,
                             ConstTensor dfirst_block, Tensor dx) const {
  Scratch scratch(step.context.scratch());
  const auto gradient_of = [&](size_t block) {
    if (block == 0) return dx;
    return scratch.tensor({saved.plans[block].self.q_rows(), config_.width}, dx.dtype());
  };
  Tensor d = doutput;
  if (blocks_.size() == 1) {
    d = dx;
    step.context.copy(doutput, dx);
  }
  size_t application = saved.applications.size();
  for (size_t b = blocks_.size(); b-- > 0;) {
    if (b == 0 && dfirst_block) add(step.context, d, dfirst_block, d);
    for (int64_t l = config_.blocks[b].layers; l-- > 0;) {
      for (int64_t r = config_.blocks[b].repeats; r-- > 0;) {
        const TransformerLayer::Saved& layer = saved.applications[--application];
        const Site at = application_site(site, b, l, r);
        if (is_pooling(b, l, r)) {
          Tensor dunpooled = gradient_of(b - 1);
          backward_pooling_layer(step, at, b, saved, layer, d, dunpooled);
          d = dunpooled;
        } else {
          blocks_[b][l].backward(step, at, saved.plans[b].self, layer, d, d, {});
        }
      }
    }
  }
}

}  // namespace funnel
