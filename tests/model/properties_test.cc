// SPDX-License-Identifier: Apache-2.0
// Oracles: what the mathematics says of any model (a bias of all keys shifts every score of a row;
// attention to and from a separate CLS sees no segments), and what the engine promises (a sample's
// numbers do not depend on the batch it is in, the same step gives the same bits, a step that has
// run before allocates nothing).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/backend/buffer.h"
#include "tests/model/random_batch.h"
#include "tests/model/whole_model.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

PretrainConfig small_config() {
  PretrainConfig config;
  config.model = {.vocab = 23,
                  .embedding_width = 12,
                  .width = 16,
                  .heads = 4,
                  .head_width = 4,
                  .inner = 24,
                  .blocks = {{1, 1}, {1, 2}, {1, 1}},
                  .decoder = {1, 1}};
  config.model.hidden_dropout = 0.2;
  config.model.attention_dropout = 0.2;
  config.model.activation_dropout = 0.2;
  config.generator_width_ratio = 0.5;
  return config;
}

// A rig of the small model with random parameters, and a batch for it.
struct FedRig {
  FedRig(DType dtype, const std::string& objective, const PretrainConfig& config = small_config(),
         int64_t examples = 4)
      : batch({.vocab = 23, .batch = examples, .seq = 13, .predictions = 4}, 3),
        rig(dtype, objective, config) {
    rig.randomise(11);
    rig.step.seed = 5;
    inputs.batch = batch.all();
    if (objective == "electra") inputs.batch.samples = {};  // the generator draws
  }

  RandomBatch batch;
  ModelInputs inputs;
  Rig rig;
};

double largest_of(const ConstTensor& tensor) {
  double largest = 0;
  for (double value : values_of(tensor)) largest = std::max(largest, std::abs(value));
  return largest;
}

TEST(ModelProperties, ABiasOfKeysHasNoGradient) {
  FedRig fed(DType::f64, "electra");
  fed.rig.run(fed.inputs);
  int64_t found = 0;
  for (const Param& param : fed.rig.params.all()) {
    if (!param.name.ends_with("attention/key/bias")) continue;
    ++found;
    const std::string layer = param.name.substr(0, param.name.size() - std::string("bias").size());
    EXPECT_LE(largest_of(param.grad),
              1e-12 * largest_of(fed.rig.params.find(layer + "kernel").grad))
        << param.name;
  }
  EXPECT_EQ(found, 2 * 4);  // four layers of either network
}

TEST(ModelProperties, TheSegmentOfASeparateClsIsIrrelevant) {
  FedRig fed(DType::f64, "mlm");
  std::vector<double> losses;
  std::vector<std::vector<double>> gradients;
  for (uint8_t segment : {2, 0, 1}) {
    for (int64_t b = 0; b < 4; ++b) {
      fed.batch.segments().tensor().as<uint8_t>()[b * 13] = segment;
    }
    losses.push_back(fed.rig.run(fed.inputs));
    gradients.push_back(values_of(fed.rig.params.grads()));
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_EQ(gradients[0], gradients[2]);
}

// Slots without a target might as well not be there, whatever their positions.
TEST(ModelProperties, AbsentTargetsAreNotAskedFor) {
  for (const std::string objective : {"mlm", "electra"}) {
    FedRig fed(DType::f64, objective);
    PretrainBatch& batch = fed.inputs.batch;
    batch.samples = fed.batch.all().samples;
    // Of four slots the first of each example goes, and two more of the second.
    const auto is_absent = [](size_t slot) { return slot % 4 == 0 || slot == 5 || slot == 6; };
    std::vector<double> targets = values_of(batch.targets), positions, kept_targets, samples;
    for (size_t slot = 0; slot < targets.size(); ++slot) {
      if (is_absent(slot)) targets[slot] = kNoTarget;
    }
    const OwnedTensor with_absent({4, 4}, DType::i32, targets);
    batch.targets = with_absent;
    batch.absent_targets = 6;
    const double loss = fed.rig.run(fed.inputs);
    const std::vector<double> gradients = values_of(fed.rig.params.grads());

    // The same without the first slot of each example.
    for (size_t from = 0; from < 16; ++from) {
      if (from % 4 == 0) continue;
      positions.push_back(values_of(batch.positions)[from]);
      kept_targets.push_back(values_of(batch.targets)[from]);
      samples.push_back(values_of(batch.samples)[from]);
    }
    const OwnedTensor fewer_positions({4, 3}, DType::i32, positions);
    const OwnedTensor fewer_targets({4, 3}, DType::i32, kept_targets);
    const OwnedTensor fewer_samples({4, 3}, DType::i32, samples);
    batch.positions = fewer_positions;
    batch.targets = fewer_targets;
    batch.samples = fewer_samples;
    batch.absent_targets = 2;
    EXPECT_NEAR(fed.rig.run(fed.inputs), loss, 1e-12 * loss);
    expect_close("gradients", values_of(fed.rig.params.grads()), gradients,
                 tolerance_of(DType::f64, Kind::row));
  }
}

TEST(ModelProperties, OtherSegmentsMatter) {
  FedRig fed(DType::f64, "mlm");
  const double loss = fed.rig.forward(fed.inputs);
  uint8_t* segments = fed.batch.segments().tensor().as<uint8_t>();
  segments[3] = static_cast<uint8_t>(1 - segments[3]);
  EXPECT_NE(fed.rig.forward(fed.inputs), loss);
}

// What an ELECTRA step computes per sample, of examples [first, first + count).
struct PerSample {
  std::vector<double> generator, discriminator, logits, samples, gradient;
};

PerSample run_examples(FedRig& fed, int64_t first, int64_t count) {
  ModelInputs inputs;
  inputs.batch = fed.batch.examples(first, count);
  inputs.batch.samples = {};
  inputs.batch.tokens = 1;  // a sum over tokens, so that gradients of parts add up
  fed.rig.step.first_sample = first;
  fed.rig.reset();
  fed.rig.model().forward(fed.rig.step, inputs);
  const Electra::Saved& saved = *fed.rig.model().electra();
  PerSample result{values_of(saved.generator.network.output),
                   values_of(saved.discriminator.output),
                   values_of(saved.head.logits),
                   values_of(saved.samples),
                   {}};
  fed.rig.model().backward(fed.rig.step, inputs);
  result.gradient = values_of(fed.rig.params.find("discriminator_head/dense/kernel").grad);
  return result;
}

std::vector<double> joined(std::vector<double> a, const std::vector<double>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(ModelProperties, ASampleIsTheSameInAnyMicroBatch) {
  for (PositionDropout policy : {PositionDropout::per_table, PositionDropout::by_distance}) {
    PretrainConfig config = small_config();
    config.model.position_dropout = policy;
    FedRig fed(DType::f64, "electra", config);
    const PerSample whole = run_examples(fed, 0, 4);
    const PerSample a = run_examples(fed, 0, 2), b = run_examples(fed, 2, 2);
    const Tolerance tight{1e-12, 1e-12};
    EXPECT_EQ(joined(a.samples, b.samples), whole.samples);
    expect_close("generator", joined(a.generator, b.generator), whole.generator, tight);
    expect_close("discriminator", joined(a.discriminator, b.discriminator), whole.discriminator,
                 tight);
    expect_close("logits", joined(a.logits, b.logits), whole.logits, tight);
    std::vector<double> sum = a.gradient;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += b.gradient[i];
    expect_close("gradient", sum, whole.gradient, tight);

    // The oracle can fail: elsewhere in the global batch, dropout differs.
    fed.rig.step.first_sample = 0;
    const PerSample elsewhere = [&] {
      ModelInputs inputs;
      inputs.batch = fed.batch.examples(2, 2);
      fed.rig.forward(inputs);
      return PerSample{{}, values_of(fed.rig.model().electra()->discriminator.output), {}, {}, {}};
    }();
    EXPECT_NE(elsewhere.discriminator, b.discriminator);
  }
}

TEST(ModelProperties, TheSameStepGivesTheSameBits) {
  for (const char* objective : {"mlm", "electra"}) {
    for (DType dtype : {DType::f32, DType::f64}) {
      FedRig first(dtype, objective), second(dtype, objective);
      const double loss = first.rig.run(first.inputs);
      const std::vector<double> gradient = values_of(first.rig.params.grads());
      EXPECT_EQ(first.rig.run(first.inputs), loss);
      EXPECT_EQ(values_of(first.rig.params.grads()), gradient);
      EXPECT_EQ(second.rig.run(second.inputs), loss);
      EXPECT_EQ(values_of(second.rig.params.grads()), gradient);

      first.rig.step.number = 1;
      EXPECT_NE(first.rig.run(first.inputs), loss) << "another step draws other masks";
      first.rig.step.number = 0;
      first.rig.step.seed = 6;
      EXPECT_NE(first.rig.run(first.inputs), loss) << "another seed draws other masks";
    }
  }
}

TEST(ModelProperties, BackwardAccumulatesParameterGradients) {
  FedRig fed(DType::f64, "electra");
  fed.rig.run(fed.inputs);
  const std::vector<double> once = values_of(fed.rig.params.grads());
  fed.rig.forward(fed.inputs);
  fed.rig.model().backward(fed.rig.step, fed.inputs);
  std::vector<double> twice = once;
  for (double& value : twice) value *= 2;
  expect_close("gradient", values_of(fed.rig.params.grads()), twice, {1e-12, 1e-12});
}

TEST(ModelProperties, EvaluationDrawsNothing) {
  FedRig fed(DType::f64, "mlm");
  fed.rig.step.training = false;
  const double loss = fed.rig.forward(fed.inputs);
  fed.rig.step.seed = 77;
  fed.rig.step.first_sample = 8;
  EXPECT_EQ(fed.rig.forward(fed.inputs), loss);
  fed.rig.step.training = true;
  EXPECT_NE(fed.rig.forward(fed.inputs), loss);
}

TEST(ModelProperties, LaterStepsAllocateNothing) {
  for (const char* objective : {"mlm", "electra"}) {
    for (DType dtype : {DType::f32, DType::f64}) {
      FedRig fed(dtype, objective);
      for (int64_t step = 0; step < 2; ++step) fed.rig.run(fed.inputs);
      const int64_t allocations = Buffer::allocations();
      for (int64_t step = 2; step < 5; ++step) {
        fed.rig.step.number = step;
        fed.rig.run(fed.inputs);
      }
      EXPECT_EQ(Buffer::allocations(), allocations) << objective << ' ' << name_of(dtype);
    }
  }
}

}  // namespace
}  // namespace funnel::testing
