// SPDX-License-Identifier: Apache-2.0
// Dropout without a stored mask: whether an element is kept is a pure function of (seed, site,
// step, element of the global batch), so backward asks the same question again.
//
// One Philox call decides 8 elements with 16 bits each: an element is kept if its bits reach the
// threshold. The rate is thereby rounded to a multiple of 1/65536, and the scale is the exact
// inverse of the rounded keep probability, so the mean is unbiased.
#pragma once

#include <cstdint>

#include "core/backend/context.h"
#include "core/base/random.h"
#include "core/base/tensor.h"

namespace funnel {

struct Dropout {
  RandomStream stream;
  uint64_t first = 0;      // index of the tensor's element 0 in the global batch
  uint32_t threshold = 0;  // of 65536; 0 = nothing is dropped
  float scale = 1.0f;      // of kept elements

  static constexpr int kPerCall = 8;

  Dropout() = default;
  Dropout(double rate, RandomStream random_stream, int64_t first_element);

  FUNNEL_HD bool active() const { return threshold != 0; }

  // What element i is multiplied by: 0 or scale.
  FUNNEL_HD float factor(int64_t i) const {
    const uint64_t index = first + static_cast<uint64_t>(i);
    return factor_of(stream.bits(index / kPerCall), static_cast<int>(index % kPerCall));
  }

  // The same of the draw-th decision of a call.
  FUNNEL_HD float factor_of(const RandomBits& call, int draw) const {
    const uint32_t sixteen = (call.word[draw / 2] >> (16 * (draw % 2))) & 0xffffu;
    return sixteen >= threshold ? scale : 0.0f;
  }
};

// factors[i] = dropout.factor(first + i) for i in [0, n), several times faster than one by one.
void fill_dropout_factors(const Dropout& dropout, int64_t first, int64_t n, float* factors);

// y = x * factor, elementwise; y is overwritten and may be x. Backward is the same call on the
// gradient. Does nothing but copy when the dropout is inactive.
void apply_dropout(Context& context, const Dropout& dropout, ConstTensor x, Tensor y);

}  // namespace funnel
