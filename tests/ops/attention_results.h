// SPDX-License-Identifier: Apache-2.0
// What relative attention writes, forward and backward, in one of its ways to compute it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/ops/attention_paths.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {

inline AttentionExtents extents_of(const AttentionInputs& in, int64_t group = 0) {
  const Shape& q = in.q.shape();
  return {q[0], q[1], in.k.shape()[1], q[2], q[3], in.r.shape()[0], group};
}

struct AttentionResults {
  AttentionResults(const AttentionInputs& in, DType dtype, Device device = device_under_test())
      : context(in.q.shape(), dtype, device),
        normaliser({in.q.shape()[0], in.q.shape()[2], in.q.shape()[1]}, compute_dtype(dtype),
                   device),
        dq(in.q.shape(), dtype, device),
        dk(in.k.shape(), dtype, device),
        dv(in.v.shape(), dtype, device),
        dr(in.r.shape(), dtype, device),
        dcontent(ones(in.content_bias.shape(), compute_dtype(dtype), device)),
        dposition(ones(in.content_bias.shape(), compute_dtype(dtype), device)),
        dsegment(ones(in.content_bias.shape(), compute_dtype(dtype), device)),
        dembedding(ones(in.segment_embedding.shape(), compute_dtype(dtype), device)) {}

  RelativeAttentionForward forward(const AttentionInputs& in) const {
    return {.in = in, .context = context, .log_normaliser = normaliser};
  }
  RelativeAttentionBackward backward(const AttentionInputs& in, ConstTensor dcontext) const {
    return {.in = in,
            .context = context,
            .log_normaliser = normaliser,
            .dcontext = dcontext,
            .dq = dq,
            .dk = dk,
            .dv = dv,
            .dr = dr,
            .dcontent_bias = dcontent,
            .dposition_bias = dposition,
            .dsegment_bias = dsegment,
            .dsegment_embedding = dembedding};
  }

  std::vector<std::pair<std::string, std::vector<double>>> gradients() const {
    return {{"dq", dq.values()},
            {"dk", dk.values()},
            {"dv", dv.values()},
            {"dr", dr.values()},
            {"dcontent_bias", less_one(dcontent)},
            {"dposition_bias", less_one(dposition)},
            {"dsegment_bias", less_one(dsegment)},
            {"dsegment_embedding", less_one(dembedding)}};
  }

  OwnedTensor context, normaliser, dq, dk, dv, dr;
  OwnedTensor dcontent, dposition, dsegment, dembedding;  // accumulated: they start from one

 private:
  static OwnedTensor ones(Shape shape, DType dtype, Device device) {
    return OwnedTensor(shape, dtype, std::vector<double>(shape.elements(), 1.0), device);
  }
  static std::vector<double> less_one(const OwnedTensor& tensor) {
    std::vector<double> values = tensor.values();
    for (double& value : values) value -= 1;
    return values;
  }
};

using AttentionForward = void(Context&, const RelativeAttentionForward&, const AttentionExtents&);
using AttentionBackward = void(Context&, const RelativeAttentionBackward&, const AttentionExtents&);

// Scratch memory that a first backward pass took.
inline int64_t backward_scratch_bytes(const AttentionInputs& in, DType dtype,
                                      AttentionForward* forward, AttentionBackward* backward) {
  const AttentionResults found(in, dtype);
  const OwnedTensor dcontext(in.q.shape(), dtype, random_values(in.q.elements(), 12));
  Context context(device_under_test());
  forward(context_under_test(), found.forward(in), extents_of(in));
  context_under_test().synchronize();
  backward(context, found.backward(in, dcontext), extents_of(in));
  context.synchronize();
  return context.scratch().high_water_bytes();
}

}  // namespace funnel::testing
