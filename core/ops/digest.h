// SPDX-License-Identifier: Apache-2.0
// A digest of a tensor's bits, taken where it lies, cheap enough for every few steps. It guards
// against faults, not against malice.
#pragma once

#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

// parts [4] f64, overwritten: the four 16-bit parts of a 64-bit digest of x (f32 or f64), the
// lowest first. Two tensors that differ in one 32-bit word never have the same; more changes escape
// with probability 2^-64. The same on every device.
void digest_bits(Context& context, ConstTensor x, Tensor parts);

}  // namespace funnel
