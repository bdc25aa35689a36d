// SPDX-License-Identifier: Apache-2.0
#include "core/layers/position_tables.h"

#include "core/ops/sinusoid.h"

namespace funnel {

ConstTensor PositionTables::table(Context& context, int64_t first, int64_t step, int64_t rows) {
  const Shape shape{rows, width_};
  const auto [found, is_new] = tables_.try_emplace({first, step, rows});
  if (is_new) {
    found->second = Buffer(context.device(), shape.elements() * size_of(dtype_));
    sinusoid_table(
        context,
        {.first_distance = first, .step = step, .table = found->second.tensor(shape, dtype_)});
  }
  return found->second.tensor(shape, dtype_);
}

}  // namespace funnel
