// SPDX-License-Identifier: Apache-2.0
// One row of a bench's table: something that was checked and, if it was right, timed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace funnel {

struct Measurement {
  std::string name;
  std::string part;  // "forward", "backward", …
  std::string path;  // which of several ways to compute it, where there are several
  DType dtype = DType::f32;
  double flops = 0;         // of one run
  double bytes = 0;         // read and written at least once
  double error = 0;         // ||found - expected|| / ||expected||; NaN if something was not written
  double tolerance = 0;     // for it
  bool bits_repeat = true;  // a second run gave the same bits
  std::optional<double> milliseconds{};  // the median; none if the check failed
  // Of a library's other algorithms for the same, its first choice first: the medians of those that
  // were right, and how many were not. Empty unless asked for.
  std::vector<double> algorithm_ms{};
  int wrong_algorithms = 0;

  bool right() const { return error <= tolerance && bits_repeat; }
};

}  // namespace funnel
