// SPDX-License-Identifier: Apache-2.0
// Oracles: the weights of one parameter over three steps worked out by hand for the original
// TensorFlow update, and the naive double reference of all three forms.
#include "core/optim/adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/reference/optimizer.h"

namespace funnel {
namespace {

template <class T>
Tensor view(std::vector<T>& elements) {
  return Tensor(elements.data(), {static_cast<int64_t>(elements.size())}, dtype_of<T>());
}

// The flat buffers of n elements, and gradients that change with the step.
template <class T>
struct Flat {
  std::vector<T> values, grads, moment1, moment2;

  explicit Flat(int64_t n) : values(n), grads(n), moment1(n), moment2(n) {
    for (int64_t i = 0; i < n; ++i) values[i] = static_cast<T>(std::sin(0.7 * i) + 0.1);
  }
  void set_grads(int64_t step) {
    for (size_t i = 0; i < grads.size(); ++i) {
      grads[i] = static_cast<T>(0.3 * std::cos(1.3 * i + 2.1 * step));
    }
  }
};

template <class T>
void take_step(const OptimizerConfig& config, Flat<T>& flat, std::span<const DecayRun> runs,
               int64_t step, double gradient_factor) {
  Context context(Device::cpu);
  const UpdateTable table(context, runs, 0, static_cast<int64_t>(flat.values.size()));
  adamw_step(context, config,
             {.values = view(flat.values),
              .moment1 = view(flat.moment1),
              .moment2 = view(flat.moment2),
              .grads = view(flat.grads),
              .table = table,
              .step = step,
              .learning_rate = config.learning_rate,
              .gradient_factor = gradient_factor});
}

TEST(AdamW, WorkedExample) {
  const OptimizerConfig config{.learning_rate = 1e-3, .weight_decay = 0.01};
  const std::vector<DecayRun> runs{{0, 1, true}};
  Flat<double> flat(1);
  flat.values = {1.0};
  const double grads[] = {0.1, -0.2, 0.05};
  const double expected[] = {0.998990099990, 0.999348274237, 0.999478693564};
  for (int64_t step = 0; step < 3; ++step) {
    flat.grads = {grads[step]};
    take_step(config, flat, runs, step, 1.0);
    EXPECT_NEAR(flat.values[0], expected[step], 1e-12) << "step " << step;
  }
}

void reference_step(UpdateForm form, ref::AdamState& state, const ref::Vector& grads,
                    const ref::AdamSettings& settings, int64_t step) {
  switch (form) {
    case UpdateForm::reference:
      return ref::adam_reference_form(state, grads, settings, step);
    case UpdateForm::usual:
      return ref::adam_usual_form(state, grads, settings, step);
    case UpdateForm::no_correction:
      return ref::adam_uncorrected_form(state, grads, settings);
  }
}

template <class T>
void expect_agreement_with_reference(UpdateForm form, int64_t n, double tolerance) {
  const double gradient_factor = 0.25;
  // A large epsilon and decay, so that their places in the formula show.
  const OptimizerConfig config{
      .learning_rate = 1e-2, .epsilon = 1e-2, .update_form = form, .weight_decay = 0.1};
  const ref::AdamSettings settings{.learning_rate = config.learning_rate,
                                   .beta1 = config.beta1,
                                   .beta2 = config.beta2,
                                   .epsilon = config.epsilon,
                                   .weight_decay = config.weight_decay};
  const std::vector<DecayRun> runs{{0, n, true}};
  Flat<T> flat(n);
  ref::AdamState state{.weights = ref::Vector(flat.values.begin(), flat.values.end()),
                       .m = ref::Vector(n),
                       .v = ref::Vector(n)};
  for (int64_t step = 0; step < 20; ++step) {
    flat.set_grads(step);
    ref::Vector grads(flat.grads.begin(), flat.grads.end());
    for (double& g : grads) g *= gradient_factor;
    reference_step(form, state, grads, settings, step);
    take_step(config, flat, runs, step, gradient_factor);
  }
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_NEAR(flat.values[i], state.weights[i], tolerance) << "element " << i;
    EXPECT_NEAR(flat.moment1[i], state.m[i], tolerance) << "element " << i;
    EXPECT_NEAR(flat.moment2[i], state.v[i], tolerance) << "element " << i;
  }
}

TEST(AdamW, AllFormsAgreeWithReference) {
  for (const UpdateForm form :
       {UpdateForm::reference, UpdateForm::usual, UpdateForm::no_correction}) {
    for (const int64_t n : {1, 31, 33, 1000}) {
      SCOPED_TRACE(::testing::Message() << "form " << static_cast<int>(form) << ", size " << n);
      expect_agreement_with_reference<double>(form, n, 1e-14);
      expect_agreement_with_reference<float>(form, n, 2e-6);
    }
  }
}

TEST(AdamW, OnlyDecayingRunsDecay) {
  const OptimizerConfig config{
      .learning_rate = 0.5, .update_form = UpdateForm::usual, .weight_decay = 0.5};
  const std::vector<DecayRun> runs{{0, 10, true}, {10, 5, false}, {15, 18, true}};
  Flat<double> flat(33);
  const std::vector<double> before = flat.values;
  take_step(config, flat, runs, 0, 1.0);
  for (int i = 0; i < 33; ++i) {
    const bool decays = i < 10 || i >= 15;
    EXPECT_DOUBLE_EQ(flat.values[i], before[i] * (decays ? 0.75 : 1.0)) << "element " << i;
  }
}

// A rank's pieces give the bits of the whole, wherever the cuts fall.
TEST(AdamW, PiecesEqualTheWhole) {
  const OptimizerConfig config{.learning_rate = 1e-2, .weight_decay = 0.1};
  const std::vector<DecayRun> runs{{0, 100, true}, {100, 57, false}, {157, 844, true}};
  Flat<float> whole(1001), cut(1001);
  Context context(Device::cpu);
  for (int64_t step = 0; step < 3; ++step) {
    whole.set_grads(step);
    cut.set_grads(step);
    take_step(config, whole, runs, step, 0.5);
    const int64_t borders[] = {0, 1, 99, 130, 157, 600, 1001};
    for (int piece = 0; piece + 1 < 7; ++piece) {
      const int64_t first = borders[piece], count = borders[piece + 1] - first;
      adamw_step(context, config,
                 {.values = view(cut.values).slice(first, {count}),
                  .moment1 = view(cut.moment1).slice(first, {count}),
                  .moment2 = view(cut.moment2).slice(first, {count}),
                  .grads = view(cut.grads).slice(first, {count}),
                  .table = UpdateTable(context, runs, first, count),
                  .step = step,
                  .learning_rate = config.learning_rate,
                  .gradient_factor = 0.5});
    }
  }
  EXPECT_EQ(whole.values, cut.values);
  EXPECT_EQ(whole.moment1, cut.moment1);
  EXPECT_EQ(whole.moment2, cut.moment2);
}

// One pass over many runs gives the bits of a pass for each.
TEST(AdamW, OnePassEqualsAPassForEachRun) {
  const OptimizerConfig config{.learning_rate = 1e-2, .weight_decay = 0.1};
  std::vector<DecayRun> runs;
  for (int64_t first = 0, i = 0; i < 40; ++i) {
    runs.push_back({first, i % 5 == 0 ? 5000 + 31 * i : 1 + i, i % 2 == 0});
    first += runs.back().count;
  }
  const int64_t n = runs.back().first + runs.back().count;
  Flat<float> once(n), each(n);
  once.set_grads(0);
  each.set_grads(0);
  take_step(config, once, runs, 0, 0.5);
  Context context(Device::cpu);
  for (const DecayRun& run : runs) {
    const auto piece = [&](std::vector<float>& all) {
      return view(all).slice(run.first, {run.count});
    };
    const std::vector<DecayRun> alone{{0, run.count, run.decays}};
    adamw_step(context, config,
               {.values = piece(each.values),
                .moment1 = piece(each.moment1),
                .moment2 = piece(each.moment2),
                .grads = piece(each.grads),
                .table = UpdateTable(context, alone, 0, run.count),
                .learning_rate = config.learning_rate,
                .gradient_factor = 0.5});
  }
  EXPECT_EQ(once.values, each.values);
  EXPECT_EQ(once.moment1, each.moment1);
  EXPECT_EQ(once.moment2, each.moment2);
}

// A factor in memory counts like one given as a number; one that is not finite updates nothing.
TEST(AdamW, FactorInMemory) {
  const OptimizerConfig config{.learning_rate = 1e-2, .weight_decay = 0.1};
  const std::vector<DecayRun> runs{{0, 5000, true}};
  Context context(Device::cpu);
  const UpdateTable table(context, runs, 0, 5000);
  const auto step_with = [&](Flat<float>& flat, double number, double memory) {
    adamw_step(context, config,
               {.values = view(flat.values),
                .moment1 = view(flat.moment1),
                .moment2 = view(flat.moment2),
                .grads = view(flat.grads),
                .table = table,
                .learning_rate = config.learning_rate,
                .gradient_factor = number,
                .factor = ConstTensor(&memory, {1}, DType::f64)});
  };
  Flat<float> expected(5000), found(5000);
  expected.set_grads(0);
  found.set_grads(0);
  take_step(config, expected, runs, 0, 0.125);
  step_with(found, 0.25, 0.5);
  EXPECT_EQ(found.values, expected.values);
  EXPECT_EQ(found.moment1, expected.moment1);
  EXPECT_EQ(found.moment2, expected.moment2);
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    step_with(found, 0.25, bad);
    step_with(found, bad, 0.25);
  }
  EXPECT_EQ(found.values, expected.values);
  EXPECT_EQ(found.moment1, expected.moment1);
  EXPECT_EQ(found.moment2, expected.moment2);
}

TEST(AdamW, RunsMustCoverThePiece) {
  Flat<float> flat(10);
  const std::vector<DecayRun> hole{{0, 4, true}, {6, 4, true}};
  const std::vector<DecayRun> low{{0, 9, true}};
  EXPECT_THROW(take_step(OptimizerConfig(), flat, hole, 0, 1.0), Error);
  EXPECT_THROW(take_step(OptimizerConfig(), flat, low, 0, 1.0), Error);
}

TEST(AdamW, NeighbouringRunsJoin) {
  const std::vector<DecayRun> runs{{0, 3, true}, {4, 4, true}, {8, 1, false}, {12, 2, true}};
  const std::vector<DecayRun> expected{{0, 8, true}, {8, 4, false}, {12, 2, true}};
  EXPECT_EQ(join_runs(runs), expected);
  EXPECT_TRUE(join_runs({}).empty());
  const std::vector<DecayRun> overlapping{{0, 3, true}, {2, 4, true}};
  EXPECT_THROW(join_runs(overlapping), Error);
}

}  // namespace
}  // namespace funnel
