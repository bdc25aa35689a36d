// SPDX-License-Identifier: Apache-2.0
// Sinusoid tables, computed once for each geometry and kept for the run.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>

#include "core/backend/buffer.h"
#include "core/backend/context.h"

namespace funnel {

class PositionTables {
 public:
  PositionTables(DType dtype, int64_t width) : dtype_(dtype), width_(width) {}

  // [rows, width]: row c holds the sinusoids of distance first - c * step.
  ConstTensor table(Context& context, int64_t first, int64_t step, int64_t rows);

 private:
  DType dtype_;
  int64_t width_;
  std::map<std::tuple<int64_t, int64_t, int64_t>, Buffer> tables_;
};

}  // namespace funnel
