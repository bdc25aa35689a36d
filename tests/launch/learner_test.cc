// SPDX-License-Identifier: Apache-2.0
// The learner. Oracles: one rank for any number of ranks, bit by bit; the state before for a step
// that must be skipped; double precision with references of clipping and AdamW for what an update
// does; and a handful of examples that must be learnt by heart.
#include "launch/learner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "launch/shard_feed.h"
#include "tests/data/small_vocabulary.h"
#include "tests/data/temporary_folder.h"
#include "tests/launch/learner_fixture.h"
#include "tests/reference/optimizer.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

constexpr int64_t kSteps = 5;

// Trains and evaluates; fails unless all ranks end up with the same.
Learnt learn(const RunConfig& config, int ranks) {
  std::vector<Learnt> of_rank(ranks);
  const auto body = [&](Comm& comm) {
    Learner learner(comm, config);
    MemoryFeed feed(config, learner.shards(), kSteps);
    Learnt& mine = of_rank[comm.rank()];
    for (int64_t step = 0; step < kSteps; ++step) {
      // One rank's wish to stop is everybody's.
      const bool want_stop = step == 3 && comm.rank() == comm.size() - 1;
      mine.add(learner.train_step(step, feed.source(), want_stop));
    }
    feed.seek(0);
    mine.add(learner.evaluate(2, feed.source()));
    mine.take_state(learner);
  };
  if (ranks == 1) {
    SoloComm solo;
    body(solo);
  } else {
    run_on_threads(ranks, body);
  }
  for (const Learnt& other : of_rank) EXPECT_TRUE(same_bits(other, of_rank[0]));
  return of_rank[0];
}

void expect_same_on_any_ranks(const RunConfig& config) {
  const Learnt one = learn(config, 1);
  for (double number : one.reports) EXPECT_TRUE(std::isfinite(number));
  const Learnt again = learn(config, 1);
  EXPECT_TRUE(same_bits(again, one));
  for (const int ranks : {2, 4}) {
    const Learnt many = learn(config, ranks);
    EXPECT_TRUE(same_bits(many.reports, one.reports)) << ranks << " ranks";
    EXPECT_TRUE(same_bits(many.values, one.values)) << ranks << " ranks";
    EXPECT_TRUE(same_bits(many.moment1, one.moment1)) << ranks << " ranks";
    EXPECT_TRUE(same_bits(many.moment2, one.moment2)) << ranks << " ranks";
  }
}

TEST(Learner, ElectraIsTheSameOnAnyRanks) {
  expect_same_on_any_ranks(small_run(Objective::electra));
}

TEST(Learner, MlmIsTheSameOnAnyRanks) {
  expect_same_on_any_ranks(small_run(Objective::mlm));
}

TEST(Learner, GlobalClippingAndMeansAreTheSameOnAnyRanks) {
  RunConfig config = small_run(Objective::electra);
  config.optimizer.clip_scope = ClipScope::global;
  expect_same_on_any_ranks(config);
  config.optimizer.gradient_reduction = GradientReduction::mean;
  expect_same_on_any_ranks(config);
  config.optimizer.clip_scope = ClipScope::per_shard;
  expect_same_on_any_ranks(config);
}

TEST(Learner, SeedAndDropoutMatter) {
  RunConfig config = small_run(Objective::electra);
  const Learnt one = learn(config, 1);
  config.train.seed = 2;
  EXPECT_FALSE(same_bits(learn(config, 1).values, one.values));
  config.train.seed = 1;
  config.pretrain.model.hidden_dropout = 0;
  EXPECT_FALSE(same_bits(learn(config, 1).values, one.values));
}

// A NaN on one rank: all skip the step, nothing moves, and the next step is as good as ever.
TEST(Learner, SkipsAStepThatIsNotFiniteOnAnyRank) {
  for (const ClipScope scope : {ClipScope::per_shard, ClipScope::global}) {
    RunConfig config = small_run(Objective::electra);
    config.optimizer.clip_scope = scope;
    std::vector<Learnt> before(2), after(2), later(2);
    run_on_threads(2, [&](Comm& comm) {
      Learner learner(comm, config);
      MemoryFeed feed(config, learner.shards(), kSteps);
      for (int64_t step = 0; step < 2; ++step) learner.train_step(step, feed.source(), false);
      before[comm.rank()].take_state(learner);
      float& weight = learner.params().values().as<float>()[17];
      const float kept = weight;
      if (comm.rank() == 1) weight = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(learner.train_step(2, feed.source(), false).skipped);
      weight = kept;
      after[comm.rank()].take_state(learner);
      const StepReport next = learner.train_step(3, feed.source(), false);
      EXPECT_FALSE(next.skipped);
      EXPECT_TRUE(std::isfinite(next.metrics.loss));
      later[comm.rank()].take_state(learner);
    });
    for (const int rank : {0, 1}) {
      EXPECT_TRUE(same_bits(after[rank], before[rank]));
      EXPECT_TRUE(same_bits(later[rank], later[0]));
    }
    EXPECT_FALSE(same_bits(later[0].values, before[0].values));
  }
}

TEST(Learner, NoticesReplicasThatDrift) {
  const RunConfig config = small_run(Objective::mlm);
  run_on_threads(4, [&](Comm& comm) {
    Learner learner(comm, config);
    MemoryFeed feed(config, learner.shards(), kSteps);
    EXPECT_TRUE(learner.train_step(0, feed.source(), false).replicas_agree);
    if (comm.rank() == 2) learner.params().values().as<float>()[3] += 1e-3f;
    EXPECT_FALSE(learner.train_step(10, feed.source(), false).replicas_agree);
  });
}

TEST(Learner, AllocatesNothingAfterTheSecondStep) {
  for (const Objective objective : {Objective::electra, Objective::mlm}) {
    const RunConfig config = small_run(objective);
    for (const int ranks : {1, 2}) {
      run_on_threads(ranks, [&](Comm& comm) {
        Learner learner(comm, config);
        MemoryFeed feed(config, learner.shards(), kSteps);
        for (int64_t step = 0; step < 2; ++step) learner.train_step(step, feed.source(), false);
        comm.barrier();
        const int64_t buffers = Buffer::allocations();
        comm.barrier();
        for (int64_t step = 2; step < 5; ++step) learner.train_step(step, feed.source(), false);
        learner.evaluate(1, feed.source());
        comm.barrier();
        EXPECT_EQ(Buffer::allocations(), buffers) << ranks << " ranks";
      });
    }
  }
}

// The gradient of each shard in double, from the weights of `state`.
ref::Vector shard_gradient(const RunConfig& config, const ref::AdamState& state, int64_t step,
                           int64_t shard, const PretrainBatch& batch) {
  Params params(DType::f64);
  PretrainTask task(params, config.pretrain);
  Context context(Device::cpu);
  params.allocate(context);
  set_values(params.values(), state.weights);
  Arena saved(Device::cpu);
  Step pass{.context = context,
            .saved = saved,
            .seed = config.train.seed,
            .number = step,
            .first_sample = shard * config.train.shard_batch(),
            .training = true};
  task.forward(pass, batch, saved.tensor({PretrainMetrics::kCount}, DType::f64));
  task.backward(pass);
  return values_of(params.grads());
}

struct UpdateCase {
  ClipScope scope;
  GradientReduction reduction;
};

// Two steps in double: clip each shard and sum, or combine and clip, then AdamW.
void expect_updates_of_the_reference(UpdateCase update) {
  RunConfig config = small_run(Objective::electra);
  config.optimizer.clip_scope = update.scope;
  config.optimizer.gradient_reduction = update.reduction;
  config.optimizer.clip_norm = 0.5;
  config.optimizer.warmup_steps = 0;
  config.optimizer.epsilon = 1e-2;  // gradients that are nothing but rounding move nothing
  SoloComm solo;
  Learner learner(solo, config);
  MemoryFeed feed(config, learner.shards(), 2);
  feed.gives_samples = true;

  ref::AdamState state{values_of(learner.params().values()), {}, {}};
  state.m.assign(state.weights.size(), 0.0);
  state.v = state.m;
  MemoryFeed same(config, learner.shards(), 2);
  same.gives_samples = true;
  const bool clips_shards = update.scope == ClipScope::per_shard;
  for (int64_t step = 0; step < 2; ++step) {
    const StepReport report = learner.train_step(step, feed.source(), false);
    ref::Vector sum(state.weights.size(), 0.0);
    const double weight = update.reduction == GradientReduction::mean ? 0.25 : 1.0;
    for (int64_t shard = 0; shard < 4; ++shard) {
      const ref::Vector gradient = shard_gradient(config, state, step, shard, same.next());
      const double factor = clips_shards ? ref::clip_factor(gradient, 0.5) : 1.0;
      EXPECT_TRUE(!clips_shards || factor < 1) << "the case must clip";
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * factor * gradient[i];
    }
    const double factor = clips_shards ? 1.0 : ref::clip_factor(sum, 0.5);
    for (double& element : sum) element *= factor;
    EXPECT_TRUE(clips_shards || std::abs(report.gradient_norm * factor - 0.5) < 1e-5);
    const ref::AdamSettings settings{.learning_rate = 2e-3 * (1 - static_cast<double>(step) / 20),
                                     .epsilon = 1e-2,
                                     .weight_decay = 0.01};
    ref::adam_reference_form(state, sum, settings, step);
    EXPECT_DOUBLE_EQ(report.learning_rate, settings.learning_rate);
  }
  const Tolerance gradients{1e-4, 1e-5};  // whole passes in f32
  expect_close("moment1", values_of(learner.moment1()), state.m, gradients);
  expect_close("moment2", values_of(learner.moment2()), state.v, gradients);
  expect_close("values", values_of(learner.params().values()), state.weights, {1e-5, 1e-6});
}

TEST(Learner, ClipsEachShardThenSums) {
  expect_updates_of_the_reference({ClipScope::per_shard, GradientReduction::sum});
}

TEST(Learner, SumsThenClips) {
  expect_updates_of_the_reference({ClipScope::global, GradientReduction::sum});
}

TEST(Learner, AveragesThenClips) {
  expect_updates_of_the_reference({ClipScope::global, GradientReduction::mean});
}

// From shards on the disk to weights: eight sequences, other masks every time, learnt by heart.
TEST(Learner, LearnsATinyCorpusByHeart) {
  const TemporaryFolder folder;
  RunConfig config = small_run(Objective::electra);
  FunnelConfig& model = config.pretrain.model;
  model.embedding_width = model.width = 32;
  model.inner = 64;
  model.heads = 4;
  model.hidden_dropout = model.attention_dropout = model.activation_dropout = 0;
  config.optimizer.learning_rate = 5e-3;
  config.optimizer.warmup_steps = 20;
  config.pretrain.generator_width_ratio = 1;
  config.train.logical_shards = 1;
  config.train.steps = 1200;
  write_numbered_data(folder / "data", 8, config.data.seq_len, model.vocab, 8, 8);
  const Mixture data = Mixture::open({{folder / "data"}});

  SoloComm solo;
  Learner learner(solo, config);
  ShardFeed feed(data, config, learner.shards(), 0);
  const auto next = [&]() -> const PretrainBatch& { return feed.next(); };
  const PretrainMetrics before = learner.evaluate(4, next);
  for (int64_t step = 0; step < config.train.steps; ++step) learner.train_step(step, next, false);
  const PretrainMetrics after = learner.evaluate(4, next);

  EXPECT_LT(before.mlm_correct / before.predictions, 0.2);
  EXPECT_GT(after.mlm_correct / after.predictions, 0.9);
  EXPECT_LT(before.discriminator_correct / before.tokens, 0.9);
  EXPECT_GT(after.discriminator_correct / after.tokens, 0.98);
  EXPECT_LT(after.loss, before.loss / 5);
}

}  // namespace
}  // namespace funnel::testing
