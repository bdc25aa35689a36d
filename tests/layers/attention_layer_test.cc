// SPDX-License-Identifier: Apache-2.0
// Oracle: central differences in double of the attention sub-layer and of a whole layer, with every
// dropout on: within one sequence, and from pooled queries to unpooled keys.
#include <gtest/gtest.h>

#include "core/layers/relative_attention.h"
#include "core/layers/transformer_layer.h"
#include "tests/layers/layer_check.h"

namespace funnel::testing {
namespace {

constexpr int64_t kBatch = 2, kWidth = 6, kHeads = 2, kHeadWidth = 4, kInner = 10;
constexpr double kRate = 0.3;

struct Case {
  std::string name;
  bool pooled, cls_mask, segments, hidden;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

const Case kCases[] = {
    {"self", false, true, true, true},
    {"self_without_cls_mask", false, false, true, true},
    {"self_bare", false, false, false, false},
    {"pooled", true, true, true, true},
    {"pooled_without_cls_mask", true, false, true, true},
    {"pooled_without_segments", true, true, false, true},
};

// A plan between 7 tokens, or from 4 pooled ones to 7, with all it points to.
struct Sequences {
  explicit Sequences(const Case& c)
      : q_len(c.pooled ? 4 : k_len),
        positions(random_tensor({(c.pooled ? 2 : 1) * q_len + k_len, kWidth}, DType::f64, 4)),
        q_segments(random_integers({kBatch, q_len}, DType::u8, 3, 5)),
        k_segments(random_integers({kBatch, k_len}, DType::u8, 3, 6)),
        hidden({kBatch, k_len}, DType::u8, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}) {
    plan.batch = kBatch;
    plan.q_len = q_len;
    plan.k_len = k_len;
    plan.shift = c.pooled ? 2 : 1;
    plan.positions = positions;
    plan.cls_mask = c.cls_mask;
    if (c.segments) plan.q_segments = c.pooled ? q_segments : k_segments;
    if (c.segments) plan.k_segments = k_segments;
    if (c.hidden) plan.hidden = hidden;
  }

  static constexpr int64_t k_len = 7;
  int64_t q_len;
  OwnedTensor positions, q_segments, k_segments, hidden;
  AttentionPlan plan;
};

// Layer has the forward and backward that attention and a whole layer share.
template <class Layer>
void check_layer(LayerRig& rig, const Layer& layer, const Case& c) {
  const Sequences sequences(c);
  typename Layer::Saved saved;
  const LayerInput x_q({kBatch * sequences.q_len, kWidth}, 1);
  const LayerInput x_k({kBatch * Sequences::k_len, kWidth}, 2);
  const OwnedTensor y(x_q.value.tensor().shape(), DType::f64);
  const ConstTensor keys = c.pooled ? x_k.value : x_q.value;
  std::vector<CheckedInput> inputs{x_q.named("x_q")};
  if (c.pooled) inputs.push_back(x_k.named("x_k"));
  rig.check(
      y, [&] { layer.forward(rig.step, rig.site, sequences.plan, x_q.value, keys, y, saved); },
      [&](Tensor dy) {
        // In place, as networks call it.
        layer.backward(rig.step, rig.site, sequences.plan, saved, dy, dy,
                       {.dx = c.pooled ? x_k.gradient.tensor() : Tensor()});
        rig.context.copy(dy, x_q.gradient);
      },
      inputs);
}

class AttentionLayer : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionLayer, RelativeAttention) {
  LayerRig rig;
  const RelativeAttention layer(rig.params, "attention",
                                {.width = kWidth,
                                 .heads = kHeads,
                                 .head_width = kHeadWidth,
                                 .hidden_dropout = kRate,
                                 .attention_dropout = kRate});
  rig.start();
  check_layer(rig, layer, GetParam());
}

TEST_P(AttentionLayer, TransformerLayer) {
  LayerRig rig;
  const TransformerLayer layer(rig.params, "layer",
                               {.width = kWidth,
                                .heads = kHeads,
                                .head_width = kHeadWidth,
                                .inner = kInner,
                                .hidden_dropout = kRate,
                                .attention_dropout = kRate,
                                .activation_dropout = kRate});
  rig.start();
  check_layer(rig, layer, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Plans, AttentionLayer, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace funnel::testing
