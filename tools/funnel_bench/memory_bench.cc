// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/memory_bench.h"

namespace funnel {

std::vector<Measurement> bench_memory(Context& context, const RunConfig& config, DType dtype,
                                      int repeats) {
  std::vector<Measurement> rows;
  bench_norms(context, config, dtype, repeats, rows);
  bench_embedding(context, config, dtype, repeats, rows);
  bench_vocabulary(context, config, dtype, repeats, rows);
  bench_update(context, config, dtype, repeats, rows);
  return rows;
}

}  // namespace funnel
