// SPDX-License-Identifier: Apache-2.0
// What the subcommands of funnel-bench are asked for.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launch/config.h"

namespace funnel {

struct BenchOptions {
  std::vector<std::filesystem::path> configs;
  std::vector<std::string> overrides;
  std::string device = "cpu";
  std::vector<std::string> dtypes{"f32"};
  std::filesystem::path json;  // also write what was measured there; empty: nowhere
  int64_t vocab = 30522;
  int64_t edge = 8192;  // of the square product that shows a GPU's peak
  int64_t copy_mib = 2048;
  int repeats = 9;
  int algorithms = 1;  // of a library, to time for each product

  RunConfig config() const;
  std::vector<DType> element_types() const;
};

}  // namespace funnel
