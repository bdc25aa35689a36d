// SPDX-License-Identifier: Apache-2.0
#include "core/model/funnel_encoder.h"

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
    : config_(config),
      upsample_{.stride = int64_t{1} << (config.blocks.size() - 1),
                .separate_cls = config.separate_cls},
      tables_(params.dtype(), config.width),
      blocks_(config.blocks.size()) {
  for (size_t b = 0; b < blocks_.size(); ++b) {
    for (int64_t l = 0; l < config.blocks[b].layers; ++l) {
      blocks_[b].emplace_back(params, concat(path, "/block_", b, "/layer_", l),
                              layer_sizes(config));
    }
  }
}

// Where the last norm of a block takes its output on to.
NormOutlet FunnelEncoder::outlet(Step& step, size_t block, DType dtype, Saved& saved) const {
  if (blocks_.size() == 1) return {};
  const int64_t batch = saved.plans[block].self.batch;
  const bool is_last = block + 1 == blocks_.size();
  const AttentionPlan& to = saved.plans[is_last ? 0 : block + 1].self;
  const Tensor there = step.saved.tensor({to.q_rows(), config_.width}, dtype);
  const Shape examples{batch, to.q_len, config_.width};
  if (is_last) {
    saved.upsampled = there;
    return UpsampleOutlet{upsample_, saved.outputs.front().reshaped(examples),
                          there.reshaped(examples)};
  }
  saved.pooled[block + 1] = there;
  return PoolOutlet{saved.plans[block + 1].windows, config_.pooling, there.reshaped(examples)};
}

void FunnelEncoder::forward(Step& step, Site site, const SequenceInputs& inputs, ConstTensor x,
                            Saved& saved) {
  check_shape("funnel encoder: x", x, {inputs.batch * inputs.seq, config_.width});
  saved.plans = plan_blocks(step, site, config_, tables_, inputs);
  saved.pooled.assign(blocks_.size(), {});
  saved.outputs.clear();
  saved.applications.clear();
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const BlockPlan& plan = saved.plans[b];
    for (int64_t l = 0; l < config_.blocks[b].layers; ++l) {
      for (int64_t r = 0; r < config_.blocks[b].repeats; ++r) {
        const ConstTensor x_q = is_pooling(b, l, r) ? saved.pooled[b] : x;
        const bool unpooled_keys = is_pooling(b, l, r) && config_.pool_query_only;
        Tensor y = step.saved.tensor({plan.self.q_rows(), config_.width}, x.dtype());
        blocks_[b][l].forward(step, application_site(site, b, l, r),
                              unpooled_keys ? plan.pool : plan.self, x_q, unpooled_keys ? x : x_q,
                              y, saved.applications.emplace_back(),
                              is_last(b, l, r) ? outlet(step, b, x.dtype(), saved) : NormOutlet());
        x = y;
      }
    }
    saved.outputs.push_back(x);
  }
}

// From the gradient at a block's first layer to that of the output of the block before, of which
// the part that is not pooled is, or is added to, `unpooled`.
NormGradient FunnelEncoder::backward_pooling_layer(Step& step, Site site, size_t block,
                                                   const Saved& saved,
                                                   const TransformerLayer::Saved& layer,
                                                   const NormGradient& gradient, Tensor dpooled,
                                                   KeyGradient unpooled) const {
  const BlockPlan& plan = saved.plans[block];
  if (config_.pool_query_only) {
    blocks_[block][0].backward(step, site, plan.pool, layer, gradient, dpooled, unpooled);
  } else {
    blocks_[block][0].backward(step, site, plan.self, layer, gradient, dpooled);
  }
  const bool has_other_readers = config_.pool_query_only || unpooled.accumulate;
  return {has_other_readers ? ConstTensor(unpooled.dx) : ConstTensor(),
          PoolGradient{plan.windows, config_.pooling, saved.outputs[block - 1],
                       dpooled.reshaped({plan.self.batch, plan.self.q_len, config_.width})}};
}

void FunnelEncoder::backward(Step& step, Site site, const Saved& saved, Tensor dy,
                             Tensor dx) const {
  Scratch scratch(step.context.scratch());
  const auto gradient_in = [&](size_t block) {
    if (block == 0) return dx;
    return scratch.tensor({saved.plans[block].self.q_rows(), config_.width}, dx.dtype());
  };
  NormGradient gradient = dy;
  if (blocks_.size() > 1) {
    const AttentionPlan& full = saved.plans.front().self;
    gradient = UpsampleGradient{upsample_, dy.reshaped({full.batch, full.q_len, config_.width})};
  }
  Tensor d = gradient_in(blocks_.size() - 1);
  size_t application = saved.applications.size();
  for (size_t b = blocks_.size(); b-- > 0;) {
    for (int64_t l = config_.blocks[b].layers; l-- > 0;) {
      for (int64_t r = config_.blocks[b].repeats; r-- > 0;) {
        const TransformerLayer::Saved& layer = saved.applications[--application];
        const Site at = application_site(site, b, l, r);
        if (is_pooling(b, l, r)) {
          // Block 0's output also went to the decoder: its gradient there is dy.
          const Tensor before = gradient_in(b - 1);
          const KeyGradient unpooled = b == 1 ? KeyGradient{dy, true} : KeyGradient{before};
          gradient = backward_pooling_layer(step, at, b, saved, layer, gradient, d, unpooled);
          d = before;
        } else {
          blocks_[b][l].backward(step, at, saved.plans[b].self, layer, gradient, d);
          gradient = d;
        }
      }
    }
  }
}

}  // namespace funnel
