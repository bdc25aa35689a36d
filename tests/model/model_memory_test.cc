// SPDX-License-Identifier: Apache-2.0
// Oracles: what the saved arena has handed out after a real forward pass, to the byte; the shapes
// that layers register; a layer worked out by hand.
#include "core/model/model_memory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/backend/buffer.h"
#include "tests/model/random_batch.h"
#include "tests/model/whole_model.h"

namespace funnel::testing {
namespace {

// Extents that differ, so that no size can stand in for another.
PretrainConfig small_config() {
  PretrainConfig config;
  config.model = {.vocab = 37,
                  .embedding_width = 24,
                  .width = 24,
                  .heads = 4,
                  .head_width = 10,
                  .inner = 44,
                  .blocks = {{1, 1}, {2, 1}, {1, 1}},
                  .decoder = {1, 1}};
  config.generator_width_ratio = 0.5;
  return config;
}

struct Case {
  std::string name;
  PretrainConfig config = small_config();
  MicroBatch batch{.batch = 3, .seq = 13, .predictions = 4};
};

// The arena's bytes after a forward pass as the case describes it.
int64_t kept_bytes(const Case& c) {
  const RandomBatch random({.vocab = c.config.model.vocab,
                            .batch = c.batch.batch,
                            .seq = c.batch.seq,
                            .predictions = c.batch.predictions},
                           1);
  ModelInputs inputs;
  inputs.batch = random.all();
  inputs.batch.samples = {};
  if (!c.batch.has_segments) inputs.batch.segments = {};
  if (!c.batch.has_hidden) inputs.batch.hidden = {};
  Rig rig(c.batch.dtype, c.config.objective == Objective::mlm ? "mlm" : "electra", c.config);
  rig.step.training = c.batch.training;
  rig.forward(inputs);
  return rig.saved.high_water_bytes();
}

// The base case with one thing changed, for every thing that memory depends on.
std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](const char* name, auto change) {
    Case c{.name = name};
    change(c);
    all.push_back(c);
  };
  add("as released", [](Case&) {});
  add("bf16", [](Case& c) { c.batch.dtype = DType::bf16; });
  add("evaluation", [](Case& c) { c.batch.training = false; });
  add("no dropout", [](Case& c) { c.config.model.hidden_dropout = 0; });
  add("masks by distance",
      [](Case& c) { c.config.model.position_dropout = PositionDropout::by_distance; });
  add("one block", [](Case& c) {
    c.config.model.blocks = {{2, 1}};
    c.config.model.decoder = {0, 1};
    c.config.model.position_dropout = PositionDropout::by_distance;
  });
  add("repeats", [](Case& c) {
    c.config.model.blocks = {{1, 2}, {2, 3}};
    c.config.model.decoder = {2, 2};
  });
  add("no decoder layers", [](Case& c) { c.config.model.decoder = {0, 1}; });
  add("embedding of another width", [](Case& c) { c.config.model.embedding_width = 30; });
  add("pooled keys", [](Case& c) { c.config.model.pool_query_only = false; });
  add("long last window", [](Case& c) { c.config.model.truncate_seq = false; });
  add("pooled CLS", [](Case& c) { c.config.model.separate_cls = false; });
  add("max pooling", [](Case& c) { c.config.model.pooling = Pooling::max; });
  add("no segments", [](Case& c) { c.batch.has_segments = false; });
  add("nothing hidden", [](Case& c) { c.batch.has_hidden = false; });
  add("odd length", [](Case& c) { c.batch = {.batch = 1, .seq = 17, .predictions = 1}; });
  add("even length", [](Case& c) { c.batch = {.batch = 2, .seq = 24, .predictions = 5}; });
  return all;
}

TEST(ModelMemory, IsWhatAForwardPassKeepsToTheByte) {
  for (Case& c : cases()) {
    for (const Objective objective : {Objective::electra, Objective::mlm}) {
      c.config.objective = objective;
      const int64_t bytes = saved_memory(c.config, c.batch).total();
      ASSERT_LE(bytes, int64_t{1} << 20) << "the arena's first chunk";
      EXPECT_EQ(bytes, kept_bytes(c)) << c.name << (objective == Objective::mlm ? ", MLM" : "");
    }
  }
}

// A batch of 2 with 16 positions pooled to 8: every tensor is a multiple of 256 bytes or far below.
TEST(ModelMemory, LayersByHand) {
  PretrainConfig config = small_config();
  config.objective = Objective::mlm;
  config.model.heads = 4;
  config.model.head_width = 8;
  config.model.width = config.model.embedding_width = 32;
  config.model.inner = 64;
  config.model.blocks = {{1, 1}, {1, 2}};
  config.model.separate_cls = false;
  const SavedMemory memory =
      saved_memory(config, {.batch = 2, .seq = 16, .predictions = 4, .training = false});
  const std::vector<LayerMemory>& layers = memory.network.layers;
  ASSERT_EQ(layers.size(), 4u);  // block, pooling layer, block, decoder
  // q, k, v, context, 3 sums and outputs and y; r; inner twice; normaliser; 4 of mean and rstd.
  EXPECT_EQ(layers[0].one, 8 * 4096 + 4096 + 2 * 8192 + 512 + 4 * 256);
  EXPECT_EQ(layers[3].one, layers[0].one);
  EXPECT_EQ(layers[1].one, 6 * 2048 + 2 * 4096 + 4096 + 2 * 4096 + 256 + 4 * 256);
  EXPECT_EQ(layers[2].one, 8 * 2048 + 2048 + 2 * 4096 + 256 + 4 * 256);
  EXPECT_EQ(layers[2].run.applications, 1);
  EXPECT_EQ(memory.network.pooling, 2048);
  EXPECT_EQ(memory.network.upsampling, 4096);
  EXPECT_EQ(memory.network.plans, 2 * 256);  // pooled segments and hidden flags
  EXPECT_EQ(memory.network.embedding, 2 * 4096 + 2 * 256);
  EXPECT_EQ(memory.network.input_projection, 0);
  // rows, selected states, before and after GELU, norm, normed and its gradient.
  EXPECT_EQ(memory.head, 256 + 1024 + 2 * 1024 + 2 * 256 + 2 * 1024);
  EXPECT_EQ(memory.generator.total() + memory.generator_head + memory.replacement, 0);
}

// Every parameter of a one-block model by name, rounded up to 64 elements.
TEST(ModelMemory, FlatElementsCountTheGaps) {
  PretrainConfig config = small_config();
  config.objective = Objective::mlm;
  config.model.blocks = {{1, 1}};
  config.model.decoder = {0, 1};
  int64_t expected = 0;
  const auto add = [&](int64_t elements) { expected += (elements + 63) / 64 * 64; };
  for (int64_t norms = 0; norms < 2 * 4; ++norms) add(24);  // embedding, two of the layer, head
  add(37 * 24);                                             // embedding table
  for (int64_t kernels = 0; kernels < 5; ++kernels) add(24 * 40);  // q, k, v, r, output
  add(40), add(40), add(24);                                       // biases of k, v, output
  add(40), add(40), add(40), add(2 * 40);  // content, position and segment biases, segments
  add(24 * 44), add(44), add(44 * 24), add(24);
  add(24 * 24), add(24), add(37);  // head
  EXPECT_EQ(flat_elements(config), expected);
  EXPECT_EQ(Rig(DType::f32, "mlm", config).params.flat_elements(), expected);
}

}  // namespace
}  // namespace funnel::testing
