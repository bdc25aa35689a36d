// SPDX-License-Identifier: Apache-2.0
#include "core/ops/relative_attention.h"

#include <vector>

#include "core/ops/attention_paths.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

AttentionExtents check_inputs(const AttentionInputs& in) {
  FUNNEL_CHECK(in.q.shape().rank() == 4 && in.k.shape().rank() == 4,
               "relative_attention: expected q and k of rank 4, found ", in.q.shape(), " and ",
               in.k.shape());
  const Shape& q = in.q.shape();
  const AttentionExtents e{q[0], q[1], in.k.shape()[1],
                           q[2], q[3], in.shift * q[1] + in.k.shape()[1]};
  check_shape("relative_attention: k", in.k, {e.batch, e.k_len, e.heads, e.head_width});
  check_shape("relative_attention: v", in.v, in.k.shape());
  check_shape("relative_attention: r", in.r, {e.positions, e.heads, e.head_width});
  for (const ConstTensor& bias : {in.content_bias, in.position_bias, in.segment_bias}) {
    check_shape("relative_attention: bias", bias, {e.heads, e.head_width});
  }
  if (in.q_segments) {
    check_shape("relative_attention: q_segments", in.q_segments, {e.batch, e.q_len});
    check_shape("relative_attention: k_segments", in.k_segments, {e.batch, e.k_len});
    check_shape("relative_attention: segment_embedding", in.segment_embedding,
                {2, e.heads, e.head_width});
  }
  if (in.hidden) check_shape("relative_attention: hidden", in.hidden, {e.batch, e.k_len});
  return e;
}

// bf16 is on the CPU for checking: it takes the way that devices take.
bool is_blocked(const Context& context, const AttentionInputs& in) {
  return context.device() == Device::cpu && in.q.dtype() != DType::bf16;
}

bool is_fused(const Context& context, const AttentionInputs& in, const AttentionExtents& e) {
  return fused_attention_takes(context.device(), in.q.dtype(), in.shift, e);
}

}  // namespace

void sum_query_parts(Context& context, ConstTensor parts, const RelativeAttentionBackward& args) {
  const int64_t width = parts.cols(), rows = parts.rows() / kQueryParts;
  const auto flat = [=](Tensor gradient, int64_t row) {
    return gradient.slice(row * width, {width});
  };
  std::vector<Tensor> sums = {flat(args.dcontent_bias, 0), flat(args.dposition_bias, 0)};
  if (args.in.q_segments) {
    sums.insert(sums.end(), {flat(args.dsegment_bias, 0), flat(args.dsegment_embedding, 0),
                             flat(args.dsegment_embedding, 1)});
  }
  const auto used = static_cast<int64_t>(sums.size());
  sum_parts(context, parts.slice(0, {used, rows, width}), sums);
}

void relative_attention_forward(Context& context, const RelativeAttentionForward& args) {
  const AttentionExtents e = check_inputs(args.in);
  check_shape("relative_attention: context", args.context, args.in.q.shape());
  check_shape("relative_attention: log_normaliser", args.log_normaliser,
              {e.batch, e.heads, e.q_len});
  if (is_blocked(context, args.in)) return attention_forward_blocked(context, args, e);
  if (is_fused(context, args.in, e)) return attention_forward_fused(context, args, e);
  attention_forward_materialised(context, args, e);
}

void relative_attention_backward(Context& context, const RelativeAttentionBackward& args) {
  const AttentionExtents e = check_inputs(args.in);
  check_shape("relative_attention: dcontext", args.dcontext, args.in.q.shape());
  check_shape("relative_attention: dq", args.dq, args.in.q.shape());
  check_shape("relative_attention: dk", args.dk, args.in.k.shape());
  check_shape("relative_attention: dv", args.dv, args.in.k.shape());
  check_shape("relative_attention: dr", args.dr, args.in.r.shape());
  if (is_blocked(context, args.in)) return attention_backward_blocked(context, args, e);
  if (is_fused(context, args.in, e)) return attention_backward_fused(context, args, e);
  attention_backward_materialised(context, args, e);
}

int64_t attention_scratch_bytes(DType dtype, int64_t shift, const AttentionExtents& extents) {
  return fused_attention_takes(Device::cuda, dtype, shift, extents)
             ? fused_scratch_bytes(shift, extents)
             : materialised_scratch_bytes(dtype, extents);
}

}  // namespace funnel
