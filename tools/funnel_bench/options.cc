// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/options.h"

namespace funnel {

RunConfig BenchOptions::config() const {
  RunConfig config = load_config(configs, overrides);
  if (!config.vocab_is_set) set_vocabulary(config, vocab, "--vocab");
  return config;
}

std::vector<DType> BenchOptions::element_types() const {
  std::vector<DType> types;
  for (const std::string& name : dtypes) {
    types.push_back(name == "bf16" ? DType::bf16 : DType::f32);
  }
  return types;
}

}  // namespace funnel
