// SPDX-License-Identifier: Apache-2.0
// The models of the Funnel-Transformer paper with counts worked out apart from this repository's
// code: parameters from the shapes of the variables of laiguokun/Funnel-Transformer's TensorFlow
// code (they agree with the sizes published with the released models on Hugging Face), operations
// by a separate script.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/model_config.h"

namespace funnel::testing {

struct PaperModel {
  std::string name;
  int64_t width = 0;
  std::vector<BlockConfig> blocks;

  // Parameters.
  int64_t encoder = 0;
  int64_t network = 0;  // encoder and decoder
  int64_t mlm = 0;
  int64_t generator = 0;  // beside the shared embedding
  int64_t electra = 0;

  double weighted_depth = 0;
  double relative_cost = 0;  // to four digits

  friend std::ostream& operator<<(std::ostream& out, const PaperModel& model) {
    return out << model.name;
  }
};

inline std::vector<PaperModel> paper_models() {
  return {
      {"B10-10-10H1024",
       1024,
       {{10, 1}, {10, 1}, {10, 1}},
       440723456,
       468021248,
       469103418,
       27960378,
       497032251,
       17.5,
       2.5926},
      {"B8-8-8H1024",
       1024,
       {{8, 1}, {8, 1}, {8, 1}},
       358830080,
       386127872,
       387210042,
       22822458,
       410000955,
       14,
       2.0741},
      {"B6-6-6H768",
       768,
       {{6, 1}, {6, 1}, {6, 1}},
       161696256,
       177057792,
       177680442,
       9977850,
       187627003,
       10.5,
       0.8750},
      {"B6-3x2-3x2H768",
       768,
       {{6, 1}, {3, 2}, {3, 2}},
       115611648,
       130973184,
       131595834,
       7082874,
       138647419,
       10.5,
       0.8750},
      {"B4-4-4H768",
       768,
       {{4, 1}, {4, 1}, {4, 1}},
       115611648,
       130973184,
       131595834,
       7082874,
       138647419,
       7,
       0.5833},
      {"B3-4-4H768",
       768,
       {{3, 1}, {4, 1}, {4, 1}},
       107930880,
       123292416,
       123915066,
       6600378,
       130484155,
       6,
       0.5},
      {"L24H1024",
       1024,
       {{24, 1}},
       358830080,
       358830080,
       359912250,
       21109818,
       380990523,
       24,
       3.5556},
      {"L12H768", 768, {{12, 1}}, 115611648, 115611648, 116234298, 6117882, 122320891, 12, 1},
      {"L6H768", 768, {{6, 1}}, 69527040, 69527040, 70149690, 3222906, 73341307, 6, 0.5},
  };
}

inline PaperModel paper_model(const std::string& name) {
  for (const PaperModel& model : paper_models()) {
    if (model.name == name) return model;
  }
  throw Error("no such model: " + name);
}

inline FunnelConfig network_of(const PaperModel& model) {
  FunnelConfig config;
  config.vocab = 30522;
  config.embedding_width = model.width;
  config.width = model.width;
  config.heads = model.width / 64;
  config.head_width = 64;
  config.inner = 4 * model.width;
  config.blocks = model.blocks;
  config.decoder = {model.blocks.size() > 1 ? 2 : 0, 1};
  return config;
}

inline PretrainConfig pretrain_of(const PaperModel& model, Objective objective) {
  PretrainConfig config;
  config.objective = objective;
  config.model = network_of(model);
  return config;
}

}  // namespace funnel::testing
