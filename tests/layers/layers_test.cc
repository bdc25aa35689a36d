// SPDX-License-Identifier: Apache-2.0
// Oracle: central differences in double. Dropout is on wherever a layer has it.
#include <gtest/gtest.h>

#include <numeric>

#include "core/layers/embedding.h"
#include "core/layers/feed_forward.h"
#include "core/layers/heads.h"
#include "core/layers/linear.h"
#include "core/layers/norm.h"
#include "tests/layers/layer_check.h"
#include "tests/support/tolerances.h"

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
        layer.backward(rig.step, saved, dy, x.gradient, {.accumulate_dx = true});
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
  const OwnedTensor dbias = zero_tensor({9}, DType::f64);
  rig.check(
      y,
      [&] {
        rig.context.copy(branch.value, sum);
        layer.forward(rig.step, rig.site, residual.value, sum, y, 3, saved);
      },
      [&](Tensor dy) {
        layer.backward(rig.step, rig.site, saved, dy, 3,
                       {residual.gradient, branch.gradient, dbias});
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
  const OwnedTensor dbias = zero_tensor({9}, DType::f64);
  rig.check(
      y,
      [&] {
        rig.context.copy(branch.value, sum);
        layer.forward(rig.step, rig.site, residual.value, sum, y, 3, saved);
      },
      [&](Tensor dy) {
        layer.backward(rig.step, rig.site, saved, dy, 3, {dy, branch.gradient, dbias});
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

// Central differences of a loss that a head takes itself, after its backward; gradients are copied,
// because each forward adds to them.
void check_head(LayerRig& rig, const std::function<double()>& run,
                std::vector<CheckedInput> inputs) {
  const OwnedTensor gradients(rig.params.grads().shape(), DType::f64,
                              values_of(rig.params.grads()));
  for (const Param& param : rig.params.all()) {
    inputs.push_back(
        {param.name, param.value, gradients.tensor().slice(param.offset, param.shape)});
  }
  check_gradients(run, inputs, {.step = 1e-5, .relative_error = 1e-7, .coordinates = 60});
}

TEST(LayerGradient, MlmHead) {
  LayerRig rig;
  const Param& table = rig.params.add("table", {13, 4}, ParamKind::weight);
  MlmHead head(rig.params, "head", 6, table, kEpsilon);
  rig.start();
  MlmHead::Saved saved;
  const LayerInput hidden({9, 6}, 1);
  const OwnedTensor rows({4}, DType::i32, {7, 0, 2, 7});  // a position may be selected twice
  const OwnedTensor targets({4}, DType::i32, {12, 0, kNoTarget, 5});
  const OwnedTensor loss({4}, DType::f64), correct({4}, DType::u8);
  const auto run = [&] {
    rig.saved.reset();
    head.forward(rig.step, hidden.value, rows, saved);
    head.predict(rig.step, {.targets = targets, .factor = 0.25, .loss = loss, .correct = correct},
                 saved);
    double total = 0;
    for (const double one : loss.values()) total += 0.25 * one;
    return total;
  };
  run();
  head.backward(rig.step, saved, hidden.gradient);
  check_head(rig, run, {hidden.named("hidden")});
}

// More rows than there are logits for at a time: loss, draws and gradients are those of the parts.
TEST(MlmHead, WorksOnAFewRowsAtATime) {
  constexpr int64_t kVocab = 300'000, kWidth = 2;
  const int64_t at_once = MlmHead::rows_at_once(kVocab, DType::f32);
  ASSERT_EQ(at_once, 64);
  constexpr int64_t n = 104, kPart = 50;
  Context context(Device::cpu);
  Arena saved_memory(Device::cpu);
  Params params(DType::f32);
  const Param& table = params.add("table", {kVocab, kWidth}, ParamKind::weight);
  MlmHead head(params, "head", kWidth, table, kEpsilon);
  params.allocate(context);
  params.initialise(context, 3, 0.5);
  Step step{.context = context, .saved = saved_memory};
  const OwnedTensor hidden = random_tensor({n, kWidth}, DType::f32, 1);
  const OwnedTensor targets = random_integers({n}, DType::i32, kVocab, 2);
  const OwnedTensor loss({n}, DType::f32), correct({n}, DType::u8), samples({n}, DType::i32);
  const RandomStream stream(5, Site("draws"), 0);
  std::vector<double> rows_of(n);
  std::iota(rows_of.begin(), rows_of.end(), 0.0);
  const OwnedTensor rows({n}, DType::i32, rows_of);
  const auto run = [&](int64_t first, int64_t count) {
    MlmHead::Saved saved;
    const OwnedTensor dhidden({n, kWidth}, DType::f32);
    head.forward(step, hidden, rows.tensor().slice(first, {count}), saved);
    head.predict(step,
                 {.targets = targets.tensor().slice(first, {count}),
                  .factor = 0.5,
                  .loss = loss.tensor().slice(first, {count}),
                  .correct = correct.tensor().slice(first, {count}),
                  .samples = samples.tensor().slice(first, {count}),
                  .stream = stream,
                  .first_row = first},
                 saved);
    head.backward(step, saved, dhidden);
    saved_memory.reset();
    return values_of(dhidden.tensor().slice(first * kWidth, {count, kWidth}));
  };
  const std::vector<double> whole = run(0, n);
  EXPECT_LT(context.scratch().high_water_bytes(), at_once * kVocab * 4 + (4 << 20));
  const std::vector<double> losses = loss.values(), drawn = samples.values();
  const std::vector<double> gradients = values_of(params.grads());
  context.fill_zero(params.grads());
  const std::vector<double> first = run(0, n - kPart), rest = run(n - kPart, kPart);
  EXPECT_EQ(loss.values(), losses);
  EXPECT_EQ(samples.values(), drawn);
  std::vector<double> parts(first);
  parts.insert(parts.end(), rest.begin(), rest.end());
  expect_close("dhidden", parts, whole, {1e-4, 1e-6});
  expect_close("gradients", values_of(params.grads()), gradients, {1e-4, 1e-5});
}

TEST(LayerGradient, DiscriminatorHead) {
  LayerRig rig;
  DiscriminatorHead head(rig.params, "head", 6);
  rig.start();
  DiscriminatorHead::Saved saved;
  const LayerInput x({9, 6}, 1);
  const OwnedTensor labels = random_integers({9}, DType::u8, 2, 2);
  const OwnedTensor hidden = random_integers({9}, DType::u8, 2, 3);
  const OwnedTensor loss({9}, DType::f64), correct({9}, DType::u8);
  const auto run = [&] {
    rig.saved.reset();
    head.forward(
        rig.step, x.value,
        {.labels = labels, .hidden = hidden, .factor = 0.25, .loss = loss, .correct = correct},
        saved);
    double total = 0;
    for (const double one : loss.values()) total += 0.25 * one;
    return total;
  };
  run();
  head.backward(rig.step, saved, x.gradient);
  check_head(rig, run, {x.named("x")});
}

}  // namespace
}  // namespace funnel::testing
