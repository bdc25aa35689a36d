// SPDX-License-Identifier: Apache-2.0
// Oracle: central differences in double of the whole training step, every dropout on. A few random
// coordinates of every parameter; the draws of ELECTRA's generator are fixed, because no gradient
// flows through them.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/model/random_batch.h"
#include "tests/model/whole_model.h"
#include "tests/support/gradient_check.h"

namespace funnel::testing {
namespace {

struct Case {
  std::string name;
  std::function<void(PretrainConfig&, BatchSizes&)> change;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

PretrainConfig base_config() {
  PretrainConfig config;
  config.model = {.vocab = 11,
                  .embedding_width = 8,
                  .width = 8,
                  .heads = 2,
                  .head_width = 4,
                  .inner = 12,
                  .blocks = {{1, 1}, {1, 1}, {1, 1}},
                  .decoder = {1, 1}};
  config.model.hidden_dropout = 0.3;
  config.model.attention_dropout = 0.3;
  config.model.activation_dropout = 0.3;
  config.generator_width_ratio = 0.5;
  config.discriminator_weight = 5;
  return config;
}

const Case kCases[] = {
    {"separate_and_truncated", [](PretrainConfig&, BatchSizes&) {}},
    {"even_length", [](PretrainConfig&, BatchSizes& sizes) { sizes.seq = 8; }},
    {"not_truncated", [](PretrainConfig& c, BatchSizes&) { c.model.truncate_seq = false; }},
    {"not_separate", [](PretrainConfig& c, BatchSizes&) { c.model.separate_cls = false; }},
    {"not_separate_without_cls_mask",
     [](PretrainConfig& c, BatchSizes&) {
       c.model.separate_cls = false;
       c.model.cls_mask_always = false;
     }},
    {"max_pooling", [](PretrainConfig& c, BatchSizes&) { c.model.pooling = Pooling::max; }},
    {"pooled_keys", [](PretrainConfig& c, BatchSizes&) { c.model.pool_query_only = false; }},
    {"pooled_keys_by_distance_not_truncated",
     [](PretrainConfig& c, BatchSizes&) {
       c.model.pool_query_only = false;
       c.model.truncate_seq = false;
       c.model.position_dropout = PositionDropout::by_distance;
     }},
    {"repeats",
     [](PretrainConfig& c, BatchSizes&) {
       c.model.blocks = {{1, 2}, {2, 2}};
       c.model.decoder = {1, 2};
     }},
    {"narrow_embedding", [](PretrainConfig& c, BatchSizes&) { c.model.embedding_width = 6; }},
    {"by_distance", [](PretrainConfig& c,
                       BatchSizes&) { c.model.position_dropout = PositionDropout::by_distance; }},
    {"one_block",
     [](PretrainConfig& c, BatchSizes&) {
       c.model.blocks = {{2, 1}};
       c.model.decoder = {0, 1};
     }},
    {"no_decoder_layers",
     [](PretrainConfig& c, BatchSizes&) {
       c.model.decoder = {0, 1};
     }},
    {"crossing_the_blocks_of_query_rows",
     [](PretrainConfig& c, BatchSizes& sizes) {
       c.model.blocks = {{1, 1}, {1, 1}};
       sizes.seq = 67;
       sizes.batch = 1;
     }},
    {"no_padding", [](PretrainConfig&, BatchSizes& sizes) { sizes.padding = false; }},
};

class ModelGradient : public ::testing::TestWithParam<Case> {
 protected:
  static void check(const std::string& objective) {
    PretrainConfig config = base_config();
    BatchSizes sizes;
    sizes.hide_masked = objective == "mlm";
    GetParam().change(config, sizes);
    const RandomBatch batch(sizes, 5);
    ModelInputs inputs;
    inputs.batch = batch.all();

    Rig rig(DType::f64, objective, config);
    rig.step.seed = 17;
    rig.step.number = 3;
    rig.step.first_sample = 6;
    rig.randomise(23);
    rig.run(inputs);
    // A copy: another forward pass would add to the gradients.
    const OwnedTensor gradients(rig.params.grads().shape(), DType::f64,
                                values_of(rig.params.grads()));
    std::vector<CheckedInput> parameters;
    for (const Param& param : rig.params.all()) {
      parameters.push_back(
          {param.name, param.value, gradients.tensor().slice(param.offset, param.shape)});
    }
    check_gradients([&] { return rig.forward(inputs); }, parameters,
                    {.step = 1e-5, .relative_error = 1e-6, .coordinates = 5});
  }
};

TEST_P(ModelGradient, Mlm) {
  check("mlm");
}

TEST_P(ModelGradient, Electra) {
  check("electra");
}

INSTANTIATE_TEST_SUITE_P(Configs, ModelGradient, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace funnel::testing
