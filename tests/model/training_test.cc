// SPDX-License-Identifier: Apache-2.0
// Oracles: the losses that an untrained model of the paper's width must have, from the distribution
// of its initial weights; and that training can learn a handful of examples by heart.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/ops/clip.h"
#include "core/optim/adamw.h"
#include "tests/model/random_batch.h"
#include "tests/model/whole_model.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

// The head normalises its output, so logits are normal with variance width * sigma^2, sigma =
// 0.8796
// * 0.02, and their log-sum-exp is ln(vocab) + width * sigma^2 / 2.
TEST(UntrainedModel, HasTheExpectedLosses) {
  PretrainConfig config;
  config.model.blocks = {{1, 1}};
  config.model.decoder = {0, 1};
  const BatchSizes sizes{.vocab = 30522, .batch = 8, .seq = 32, .predictions = 20};
  const RandomBatch batch(sizes, 1);
  ModelInputs inputs;
  inputs.batch = batch.all();
  inputs.batch.samples = {};

  Rig rig(DType::f32, "electra", config);
  const double total = rig.forward(inputs);
  // The targets' own logits have a deviation of 0.49, over 160 predictions.
  const double generator = rig.model().metrics().mlm_loss;
  EXPECT_NEAR(generator, 10.445, 3 * 0.49 / std::sqrt(160.0));
  const double discriminator = (total - generator) / config.discriminator_weight;
  EXPECT_NEAR(discriminator, std::numbers::ln2, 0.03);
  EXPECT_NEAR(total, 45.1, 1.5);
}

// Trains on one batch over and over; returns the last loss.
double overfit(Rig& rig, const ModelInputs& inputs, int64_t steps) {
  const OptimizerConfig config{.learning_rate = 2e-3};
  const int64_t n = rig.params.flat_elements();
  const OwnedTensor moment1 = zero_tensor({n}, DType::f32), moment2 = zero_tensor({n}, DType::f32);
  const OwnedTensor norm({1}, DType::f64), factor({1}, DType::f64);
  const UpdateTable table(rig.context, std::vector<DecayRun>{{0, n, true}}, 0, n);
  double loss = 0;
  for (int64_t step = 0; step < steps; ++step) {
    rig.step.number = step;
    loss = rig.run(inputs);
    gradient_norm(rig.context, rig.params.grads(), 1.0, norm);
    clip_factor(rig.context, {.norm = norm, .loss = {}, .limit = 1.0, .factor = factor});
    EXPECT_TRUE(std::isfinite(factor.values()[0]));
    adamw_step(rig.context, config,
               {.values = rig.params.values(),
                .moment1 = moment1,
                .moment2 = moment2,
                .grads = rig.params.grads(),
                .table = table,
                .step = step,
                .learning_rate = config.learning_rate,
                .factor = factor});
  }
  return loss;
}

PretrainConfig learner() {
  PretrainConfig config;
  config.model = {.vocab = 40,
                  .embedding_width = 32,
                  .width = 32,
                  .heads = 2,
                  .head_width = 16,
                  .inner = 64,
                  .blocks = {{1, 1}, {1, 1}, {1, 1}},
                  .decoder = {1, 1}};
  config.model.hidden_dropout = 0.05;
  config.model.attention_dropout = 0.05;
  config.generator_width_ratio = 0.5;
  return config;
}

TEST(Overfitting, MlmLearnsAFewExamplesByHeart) {
  const RandomBatch batch(
      {.vocab = 40, .batch = 4, .seq = 20, .predictions = 4, .hide_masked = true}, 9);
  ModelInputs inputs;
  inputs.batch = batch.all();
  Rig rig(DType::f32, "mlm", learner());
  const double start = rig.forward(inputs);
  EXPECT_NEAR(start, std::log(40.0), 0.1);
  EXPECT_LT(overfit(rig, inputs, 250), 0.1 * start);
}

TEST(Overfitting, ElectraLearnsAFewExamplesByHeart) {
  const RandomBatch batch({.vocab = 40, .batch = 4, .seq = 20, .predictions = 4}, 9);
  ModelInputs inputs;
  inputs.batch = batch.all();  // with given replacements, so that both losses can vanish
  PretrainConfig config = learner();
  config.discriminator_weight = 10;
  Rig rig(DType::f32, "electra", config);
  const double start = rig.forward(inputs);
  EXPECT_NEAR(start, std::log(40.0) + 10 * std::numbers::ln2, 0.3);
  EXPECT_LT(overfit(rig, inputs, 400), 0.1 * start);
}

}  // namespace
}  // namespace funnel::testing
