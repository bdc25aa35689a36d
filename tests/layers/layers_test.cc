// SPDX-License-Identifier: Apache-2.0
// Oracle: central differences in double. Dropout is on wherever a layer has it.
#include <gtest/gtest.h>

#include "core/layers/embedding.h"
#include "core/layers/feed_forward.h"
#include "core/layers/heads.h"
#include "core/layers/linear.h"
#include "core/layers/norm.h"
#include "tests/layers/layer_check.h"

namespace funnel::testing {
namespace {

constexpr double kRate = 0.3;
constexpr double kEpsilon = 1e-8;

TEST(LayerGradient, Linear) {
  LayerRig rig;
  Linear layer(rig.params, "linear", 5, 7, true);
  rig.start();
  Linear::Saved saved;
  const LayerInput x({6, 5}, 1);
  const OwnedTensor y({6, 7}, DType::f64);
  rig.check(
      y, [&] { layer.forward(rig.step, x.value, y, saved); },
      [&](Tensor dy) { layer.backward(rig.step, saved, dy, x.gradient); }, {x.named("x")});
}

TEST(LayerGradient, LinearWithoutBiasAddsToItsInputGradient) {
  LayerRig rig;
  Linear layer(rig.params, "linear", 5, 7, false);
  rig.start();
  EXPECT_EQ(rig.params.all().size(), 1u);
  Linear::Saved saved;
  const LayerInput x({6, 5}, 1);
  const OwnedTensor y({6, 7}, DType::f64);
  rig.check(
      y, [&] { layer.forward(rig.step, x.value, y, saved); },
      [&](Tensor dy) {
        set_values(x.gradient, std::vector<double>(30, 10.0));
        layer.backward(rig.step, saved, dy, x.gradient, /*accumulate_dx=*/true);
        std::vector<double> without = x.gradient.values();
        for (double& value : without) value -= 10;
        set_values(x.gradient, without);
      },
      {x.named("x")});
}

TEST(LayerGradient, Norm) {
  LayerRig rig;
  Norm layer(rig.params, "norm", 9, kEpsilon);
  rig.start();
  Norm::Saved saved;
  const LayerInput x({4, 9}, 1);
  const OwnedTensor y({4, 9}, DType::f64);
  rig.check(
      y, [&] { layer.forward(rig.step, x.value, y, saved); },
      [&](Tensor dy) { layer.backward(rig.step, saved, dy, x.gradient); }, {x.named("x")});
}

TEST(LayerGradient, ResidualNorm) {
  LayerRig rig;
  ResidualNorm layer(rig.params, "norm", 9, kEpsilon, kRate);
  rig.start();
  ResidualNorm::Saved saved;
  const LayerInput residual({6, 9}, 1), branch({6, 9}, 2);
  const OwnedTensor y({6, 9}, DType::f64);
  const OwnedTensor sum({6, 9}, DType::f64);  // forward changes its branch
  rig.check(
      y,
      [&] {
        rig.context.copy(branch.value, sum);
        layer.forward(rig.step, rig.site, residual.value, sum, y, 3, saved);
      },
      [&](Tensor dy) {
        layer.backward(rig.step, rig.site, saved, dy, residual.gradient, branch.gradient, 3);
      },
      {residual.named("residual"), branch.named("branch")});
}

TEST(LayerGradient, ResidualNormInPlace) {
  LayerRig rig;
  ResidualNorm layer(rig.params, "norm", 9, kEpsilon, kRate);
  rig.start();
  ResidualNorm::Saved saved;
  const LayerInput residual({6, 9}, 1), branch({6, 9}, 2);
  const OwnedTensor y({6, 9}, DType::f64), sum({6, 9}, DType::f64);
  rig.check(
      y,
      [&] {
        rig.context.copy(branch.value, sum);
        layer.forward(rig.step, rig.site, residual.value, sum, y, 3, saved);
      },
      [&](Tensor dy) {
        layer.backward(rig.step, rig.site, saved, dy, dy, branch.gradient, 3);
        rig.context.copy(dy, residual.gradient);
      },
      {residual.named("residual"), branch.named("branch")});
}

TEST(LayerGradient, FeedForward) {
  for (bool in_place : {false, true}) {
    LayerRig rig;
    FeedForward layer(rig.params, "feed_forward",
                      {.width = 6,
                       .inner = 11,
                       .hidden_dropout = kRate,
                       .activation_dropout = kRate,
                       .epsilon = kEpsilon});
    rig.start();
    FeedForward::Saved saved;
    const LayerInput x({8, 6}, 1);
    const OwnedTensor y({8, 6}, DType::f64);
    rig.check(
        y, [&] { layer.forward(rig.step, rig.site, x.value, y, 4, saved); },
        [&](Tensor dy) {
          const Tensor dx = in_place ? dy : x.gradient.tensor();
          layer.backward(rig.step, rig.site, saved, dy, dx, 4);
          rig.context.copy(dx, x.gradient);
        },
        {x.named("x")});
  }
}

TEST(LayerGradient, Embedding) {
  LayerRig rig;
  Embedding layer(rig.params, "embedding", 7, 6, kEpsilon, kRate);
  rig.start();
  Embedding::Saved saved;
  const OwnedTensor ids({2, 5}, DType::i32, {3, 1, 1, 6, 0, 2, 3, 3, 6, 1});  // 4 and 5 are absent
  const OwnedTensor y({10, 6}, DType::f64);
  rig.check(
      y, [&] { layer.forward(rig.step, rig.site, ids, y, saved); },
      [&](Tensor dy) { layer.backward(rig.step, rig.site, saved, dy); }, {});
}

TEST(LayerGradient, MlmHead) {
  LayerRig rig;
  const Param& table = rig.params.add("table", {13, 4}, ParamKind::weight);
  MlmHead head(rig.params, "head", 6, table, kEpsilon);
  rig.start();
  MlmHead::Saved saved;
  const LayerInput hidden({9, 6}, 1);
  const OwnedTensor rows({4}, DType::i32, {7, 0, 2, 7});  // a position may be selected twice
  const OwnedTensor logits({4, 13}, DType::f64);
  rig.check(
      logits,
      [&] {
        head.forward(rig.step, hidden.value, rows, saved);
        rig.context.copy(saved.logits, logits);
      },
      [&](Tensor dlogits) { head.backward(rig.step, saved, dlogits, hidden.gradient); },
      {hidden.named("hidden")});
}

TEST(LayerGradient, DiscriminatorHead) {
  LayerRig rig;
  DiscriminatorHead head(rig.params, "head", 6);
  rig.start();
  DiscriminatorHead::Saved saved;
  const LayerInput x({9, 6}, 1);
  const OwnedTensor logits({9}, DType::f64);
  rig.check(
      logits,
      [&] {
        head.forward(rig.step, x.value, saved);
        rig.context.copy(saved.logits, logits);
      },
      [&](Tensor dlogits) { head.backward(rig.step, saved, dlogits, x.gradient); }, {x.named("x")});
}

}  // namespace
}  // namespace funnel::testing
