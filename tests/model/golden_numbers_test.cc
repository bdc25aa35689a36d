// SPDX-License-Identifier: Apache-2.0
// Oracle: a table of numbers of one tiny model, computed in float64 by a NumPy reading of
// laiguokun/Funnel-Transformer's TensorFlow code; its encoder values agree with that project's
// PyTorch port to 8e-8. Initial values are given by a formula, so nothing is read from a file.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/model/whole_model.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

struct Norms {
  double mlm, discriminator;
};

// One column of the table.
struct Column {
  std::string name;
  bool separate_cls, truncate;
  std::vector<int64_t> lengths;
  double mlm_loss, discriminator_loss;  // the latter times 50
  Norms global;
  std::vector<double> encoder_1_1, decoder_1_7;  // the first four numbers of one vector
  std::map<std::string, Norms> gradients;        // of parameters
};

const std::string kLayer0 = "encoder/block_0/layer_0/attention/";
const std::string kLayer2 = "encoder/block_1/layer_0/attention/";

const Column kSeparateTruncate{
    .name = "SeparateTruncate",
    .separate_cls = true,
    .truncate = true,
    .lengths = {8, 4, 2},
    .mlm_loss = 3.480711057964,
    .discriminator_loss = 44.431443164391,
    .global = {4.9142190128, 60.6798613342},
    .encoder_1_1 = {.7898038065, -.7464321248, .0893477721, 1.4653647551},
    .decoder_1_7 = {-.1077538706, .0140576610, -1.0920606750, -.5033806283},
    .gradients = {{"embedding/table", {1.8527487208, 17.4396929573}},
                  {kLayer0 + "position/kernel", {.0141630501, .4038506470}},
                  {kLayer0 + "content_bias", {.0327473206, 1.8120228804}},
                  {kLayer0 + "position_bias", {.0072662261, .1733807149}},
                  {kLayer0 + "segment_bias", {.0017064644, .1001246587}},
                  {kLayer0 + "segment_embedding", {.0120682108, .1120248339}},
                  {kLayer2 + "query/kernel", {.0093113630, .2256788073}},
                  {kLayer2 + "position/kernel", {.0026156778, .0469358378}},
                  {kLayer2 + "key/kernel", {.0057781275, .1049570069}},
                  {"decoder/layer_0/feed_forward/up/kernel", {.6143610154, 7.3825561992}}}};

const Column kSeparateNoTruncate{
    .name = "SeparateNoTruncate",
    .separate_cls = true,
    .truncate = false,
    .lengths = {8, 5, 3},
    .mlm_loss = 3.210566132825,
    .discriminator_loss = 46.028914975701,
    .global = {3.2894673765, 66.9970639210},
    .encoder_1_1 = {.7936899389, -.7433677322, .0694327076, 1.4754132033},
    .decoder_1_7 = {.5365840994, -.3937180129, -.8114383020, .1378295299},
    .gradients = {{"embedding/table", {1.1997010347, 14.1518614465}},
                  {kLayer0 + "position/kernel", {.0106010709, .3446936658}},
                  {kLayer0 + "content_bias", {.0309607698, 1.9134450353}},
                  {kLayer0 + "position_bias", {.0041085152, .1861701986}},
                  {kLayer0 + "segment_bias", {.0012458605, .1028386324}},
                  {kLayer0 + "segment_embedding", {.0071595761, .1101111349}},
                  {kLayer2 + "query/kernel", {.0073322229, .2768691802}},
                  {kLayer2 + "position/kernel", {.0039398963, .0770637208}},
                  {kLayer2 + "key/kernel", {.0063243430, .1231322118}},
                  {"decoder/layer_0/feed_forward/up/kernel", {.2721781734, 9.1583362279}}}};

const Column kNoSeparate{
    .name = "NoSeparate",
    .separate_cls = false,
    .truncate = true,
    .lengths = {8, 4, 2},
    .mlm_loss = 3.251262500428,
    .discriminator_loss = 45.524767336680,
    .global = {3.2648093526, 75.7343923832},
    .encoder_1_1 = {.5567273427, -.8895151479, .1009471049, 1.3089548318},
    .decoder_1_7 = {.4281153936, -.3481458239, -.7557261335, .1226792693},
    .gradients = {{"embedding/table", {1.2136480820, 17.6634349388}},
                  {kLayer0 + "position/kernel", {.0129415584, .3970502997}},
                  {kLayer0 + "content_bias", {.0402542847, 2.3376971527}},
                  {kLayer0 + "position_bias", {.0061781808, .2330538961}},
                  {kLayer0 + "segment_bias", {.0023461342, .1175591831}},
                  {kLayer0 + "segment_embedding", {.0089855532, .1334669382}},
                  {kLayer2 + "query/kernel", {.0270451084, .5694870821}},
                  {kLayer2 + "position/kernel", {.0091039851, .1412708629}},
                  {kLayer2 + "key/kernel", {.0293255246, .6229387786}},
                  {"decoder/layer_0/feed_forward/up/kernel", {.2721518178, 9.8324122315}}}};

PretrainConfig tiny_config(const Column& column) {
  PretrainConfig config;
  config.model = {.vocab = 13,
                  .embedding_width = 8,
                  .width = 8,
                  .heads = 2,
                  .head_width = 4,
                  .inner = 16,
                  .blocks = {{2, 1}, {1, 2}, {1, 1}},
                  .decoder = {1, 1}};
  config.model.separate_cls = column.separate_cls;
  config.model.truncate_seq = column.truncate;
  config.discriminator_weight = 50;
  return config;
}

void PrintTo(const Column& column, std::ostream* out) {
  *out << column.name;
}

// Names in the order of t = 1, 2, ... of the formula.
std::vector<std::string> names_in_order() {
  std::vector<std::string> names{"embedding/table", "embedding/norm/gamma", "embedding/norm/beta"};
  for (const char* layer :
       {"encoder/block_0/layer_0", "encoder/block_0/layer_1", "encoder/block_1/layer_0",
        "encoder/block_2/layer_0", "decoder/layer_0"}) {
    for (const char* part :
         {"query/kernel", "key/kernel", "key/bias", "value/kernel", "value/bias", "output/kernel",
          "output/bias", "position/kernel", "content_bias", "position_bias", "segment_bias",
          "segment_embedding", "norm/gamma", "norm/beta"}) {
      names.push_back(concat(layer, "/attention/", part));
    }
    for (const char* part :
         {"up/kernel", "up/bias", "down/kernel", "down/bias", "norm/gamma", "norm/beta"}) {
      names.push_back(concat(layer, "/feed_forward/", part));
    }
  }
  for (const char* part : {"dense/kernel", "dense/bias", "norm/gamma", "norm/beta", "vocab_bias"}) {
    names.push_back(concat("mlm_head/", part));
  }
  for (const char* part : {"dense/kernel", "dense/bias", "weight", "bias"}) {
    names.push_back(concat("discriminator_head/", part));
  }
  return names;
}

double initial_value(const std::string& name, int64_t t, int64_t i) {
  const double x = std::sin(1.3 * t + 0.61 * i + 0.05 * t * (i % 7));
  return name.ends_with("gamma") ? 1 + 0.2 * x : 0.35 * x;
}

// Gives every parameter its value; returns how many there are.
int64_t set_initial_values(const Params& params) {
  int64_t found = 0, t = 0;
  for (const std::string& name : names_in_order()) {
    ++t;
    for (const Param& param : params.all()) {
      if (param.name != name) continue;
      ++found;
      for (int64_t i = 0; i < param.value.elements(); ++i) {
        param.value.as<double>()[i] = initial_value(name, t, i);
      }
    }
  }
  return found;
}

double norm_of(const ConstTensor& tensor) {
  double total = 0;
  for (double value : values_of(tensor)) total += value * value;
  return std::sqrt(total);
}

class GoldenNumbers : public ::testing::TestWithParam<Column> {
 protected:
  ModelInputs inputs() const {
    ModelInputs inputs;
    inputs.batch = {.input_ids = ids_,
                    .masked_ids = ids_,
                    .segments = segments_,
                    .hidden = hidden_,
                    .padded = hidden_,
                    .positions = positions_,
                    .targets = targets_,
                    .samples = {},
                    .tokens = 12};
    inputs.labels = labels_;
    return inputs;
  }

  // Runs an objective; checks its loss, its gradients, and what its networks gave.
  void check(const std::string& objective, int64_t parameters, double loss,
             double Norms::*norm) const {
    const Column& column = GetParam();
    Rig rig(DType::f64, objective, tiny_config(column));
    rig.step.training = false;
    ASSERT_EQ(set_initial_values(rig.params), parameters);
    EXPECT_NEAR(rig.run(inputs()), loss, 1e-11);
    EXPECT_NEAR(norm_of(rig.params.grads()), column.global.*norm, 1e-9);
    for (const auto& [name, norms] : column.gradients) {
      EXPECT_NEAR(norm_of(rig.params.find(name).grad), norms.*norm, 1e-9) << name;
    }
    check_network(rig.model().network());
  }

  void check_network(const FunnelNetwork::Saved& network) const {
    const Column& column = GetParam();
    for (size_t b = 0; b < column.lengths.size(); ++b) {
      EXPECT_EQ(network.encoder.plans[b].self.q_len, column.lengths[b]);
    }
    expect_start(network.encoder.outputs.back(), column.lengths.back() + 1, column.encoder_1_1);
    expect_start(network.output, 8 + 7, column.decoder_1_7);
    if (!column.separate_cls) return;
    // The same whether truncated or not: the first example ends in hidden tokens.
    expect_start(network.encoder.outputs.back(), 0,
                 {.7682217482, -1.0914276465, -.1289201879, 1.3621074004, -1.1262818042,
                  -.3574271153, 1.3820260094, -.5480955648});
    expect_start(network.output, 3, {.3951578321, -.3719356464, -.9472023748, .5632773213});
    // Printed by the PyTorch port, which rounds scores to float and has an epsilon of 1e-9.
    expect_start(network.encoder.outputs.front(), 1,
                 {1.3461790314, .1157317352, .8832445054, -.1311373246}, 1e-7);
  }

  static void expect_start(const ConstTensor& hidden, int64_t row,
                           const std::vector<double>& expected, double tolerance = 1e-9) {
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(hidden.as<double>()[row * 8 + i], expected[i], tolerance) << "row " << row;
    }
  }

  OwnedTensor ids_{{2, 8}, DType::i32, {3, 5, 7, 2, 9, 4, 6, 0, 3, 8, 1, 10, 2, 11, 5, 12}};
  OwnedTensor segments_{{2, 8}, DType::u8, {2, 0, 0, 0, 1, 1, 0, 0, 2, 0, 0, 1, 1, 1, 1, 1}};
  OwnedTensor hidden_{{2, 8}, DType::u8, {0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0}};
  OwnedTensor labels_{{2, 8}, DType::u8, {1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1}};
  OwnedTensor positions_{{2, 3}, DType::i32, {1, 4, 6, 2, 5, 7}};
  OwnedTensor targets_{{2, 3}, DType::i32, {5, 9, 6, 1, 11, 12}};
};

TEST_P(GoldenNumbers, Mlm) {
  check("mlm", 108, GetParam().mlm_loss, &Norms::mlm);
}

TEST_P(GoldenNumbers, Discriminator) {
  check("discriminator", 107, GetParam().discriminator_loss, &Norms::discriminator);
}

INSTANTIATE_TEST_SUITE_P(Table, GoldenNumbers,
                         ::testing::Values(kSeparateTruncate, kSeparateNoTruncate, kNoSeparate),
                         [](const ::testing::TestParamInfo<Column>& info) {
                           return info.param.name;
                         });

TEST(GoldenNumbersFormula, GivesTheListedValues) {
  EXPECT_NEAR(initial_value("embedding/table", 1, 0), 0.3372453649, 1e-10);
  EXPECT_NEAR(initial_value("embedding/table", 1, 3), -0.0482880535, 1e-10);
  EXPECT_NEAR(initial_value(kLayer0 + "query/kernel", 4, 0), -0.3092091295, 1e-10);
  EXPECT_NEAR(initial_value(kLayer0 + "query/kernel", 4, 3), 0.3412572819, 1e-10);
  EXPECT_EQ(names_in_order().size(), 112u);
}

}  // namespace
}  // namespace funnel::testing
