// SPDX-License-Identifier: Apache-2.0
// What cuBLASLt leaves to us of a product. Private to core/backend/cuda.
#pragma once

#include "core/backend/cuda/runtime.h"
#include "core/backend/matmul.h"

namespace funnel::cuda {

// C[i] = bias, or C[i] + bias where args.accumulate: the product without its product, for operands
// of depth 0 and for the epilogues that cuBLASLt lacks. A null bias is zero.
void set_or_add_bias(Stream stream, const Matmul& args);

}  // namespace funnel::cuda
