// SPDX-License-Identifier: Apache-2.0
// Oracles: Hugging Face transformers 5.23 (the hf_* fixtures) and an independent float64 model
// written from the paper and the TensorFlow code (all others), both differentiated by a framework
// that shares nothing with this engine. Every output, loss and parameter gradient must agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/ops/matmul.h"
#include "tests/model/golden.h"

namespace funnel::testing {
namespace {

struct Case {
  std::string name;
  DType dtype;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::string& name : golden_names()) {
    for (DType dtype : {DType::f64, DType::f32}) cases.push_back({name, dtype});
  }
  return cases;
}

double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// Errors count against the largest expected element, or against `floor` where that is larger (a
// gradient may be exactly zero in theory and noise in practice).
void expect_agreement(const std::string& what, const std::vector<double>& found,
                      const std::vector<double>& expected, double tolerance, double floor = 0) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  const double scale = std::max(largest_of(expected), floor);
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(found[i] - expected[i]);
    if (!(error <= worst)) worst = error, at = i;
  }
  EXPECT_LE(worst, tolerance * scale)
      << what << "[" << at << "]: expected " << expected[at] << ", found " << found[at];
}

class GoldenTest : public ::testing::TestWithParam<Case> {
 protected:
  double tolerance() const { return GetParam().dtype == DType::f64 ? 1e-9 : 2e-4; }

  void load_parameters(const Golden& golden, Rig& rig) {
    for (const std::string& name : golden.parameters()) {
      const Param& param = rig.params.find(name);
      ASSERT_EQ(param.shape, golden.file().shape("values/" + name)) << name;
      set_values(param.value, golden.numbers("values/" + name));
    }
  }

  // The engine drops logits as soon as it has read them.
  static Tensor generator_logits(const MlmHead::Saved& head, Rig& rig) {
    const Tensor table = rig.params.find("embedding/table").value;
    const Tensor logits = rig.saved.tensor({head.normed.rows(), table.rows()}, table.dtype());
    tied_forward(rig.context, head.normed, table,
                 rig.params.find("generator/mlm_head/vocab_bias").value, logits);
    return logits;
  }

  void compare_outputs(const Golden& golden, Rig& rig) {
    const auto expect_output = [&](const std::string& name, ConstTensor found) {
      expect_agreement(name, values_of(found), golden.numbers("outputs/" + name), tolerance());
    };
    const FunnelNetwork::Saved& network = rig.model().network();
    expect_agreement("output", values_of(network.output), golden.numbers("outputs/decoder"),
                     tolerance());
    if (golden.objective() == "electra") {
      const MlmNetwork::Saved& generator = rig.model().electra()->generator;
      expect_output("generator_decoder", generator.network.output);
      expect_output("generator_logits", generator_logits(generator.head, rig));
      const ConstTensor replaced = rig.model().electra()->replaced_ids;
      EXPECT_EQ(values_of(replaced), golden.numbers("inputs/replaced_ids"));
      EXPECT_EQ(values_of(rig.model().electra()->labels), golden.numbers("inputs/labels"));
      return;
    }
    for (size_t b = 0; b < network.encoder.outputs.size(); ++b) {
      expect_output(concat("block_", b), network.encoder.outputs[b]);
    }
  }

  void compare_gradients(const Golden& golden, Rig& rig) {
    const std::vector<std::string> names = golden.parameters();
    const std::set<std::string> known(names.begin(), names.end());
    double largest = 0;
    for (const std::string& name : names) {
      largest = std::max(largest, largest_of(golden.numbers("gradients/" + name)));
    }
    const double floor = (GetParam().dtype == DType::f64 ? 1e-6 : 1e-3) * largest;
    for (const Param& param : rig.params.all()) {
      if (known.contains(param.name)) {
        expect_agreement("gradient of " + param.name, values_of(param.grad),
                         golden.numbers("gradients/" + param.name), tolerance(), floor);
      } else {
        EXPECT_EQ(largest_of(values_of(param.grad)), 0) << param.name;
      }
    }
  }
};

TEST_P(GoldenTest, Agrees) {
  const Golden golden(GetParam().name, GetParam().dtype);
  Rig rig(GetParam().dtype, golden.objective(), golden.config());
  rig.step.training = false;
  load_parameters(golden, rig);
  rig.reset();
  const double loss = rig.model().forward(rig.step, golden.inputs());
  expect_agreement("loss", {loss}, {golden.loss()}, tolerance());
  compare_outputs(golden, rig);
  rig.model().backward(rig.step, golden.inputs());
  compare_gradients(golden, rig);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenTest, ::testing::ValuesIn(all_cases()),
                         [](const ::testing::TestParamInfo<Case>& info) {
                           return info.param.name + "_" + name_of(info.param.dtype);
                         });

TEST(GoldenFixtures, CoverEveryObjectiveAndSource) {
  const std::vector<std::string> names = golden_names();
  for (const char* prefix : {"tiny_mlm_", "tiny_discriminator_", "mlm_", "electra_", "hf_"}) {
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.starts_with(prefix);
    })) << prefix;
  }
}

}  // namespace
}  // namespace funnel::testing
