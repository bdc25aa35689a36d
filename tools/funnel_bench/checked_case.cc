// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/checked_case.h"

#include <cmath>

#include "core/backend/stopwatch.h"
#include "core/base/random.h"
#include "tools/funnel_bench/random_pool.h"

namespace funnel {

Measurement measure(Context& context, const CheckedCase& one, int repeats) {
  Measurement row = one.row;
  row.milliseconds.reset();
  uint64_t digests[2] = {};
  for (uint64_t& digest : digests) {
    if (one.begin) {
      one.begin();
    } else {
      for (const Tensor& output : one.outputs) poison(context, output);
    }
    one.work();
    for (const Tensor& output : one.outputs) {
      digest = Site::mix(digest) ^ digest_of(context, output);
    }
  }
  row.bits_repeat = digests[0] == digests[1];
  row.error = one.error();
  for (const Tensor& output : one.outputs) {
    const bool has_numbers = output.dtype() == DType::f32 || output.dtype() == DType::bf16;
    if (has_numbers && HostCopy(context, output).has_nan()) row.error = std::nan("");
  }
  if (row.right()) row.milliseconds = median_ms(context, repeats, one.work);
  return row;
}

}  // namespace funnel
