// SPDX-License-Identifier: Apache-2.0
#include "core/base/math.h"
#include "core/ops/attention_paths.h"
#include "core/ops/fused_attention/problem.h"

namespace funnel {
namespace {

// The sizes alone.
fused::Problem sizes_of(int64_t shift, const AttentionExtents& e) {
  fused::Problem sizes{};
  sizes.batch = static_cast<int>(e.batch);
  sizes.q_len = static_cast<int>(e.q_len);
  sizes.k_len = static_cast<int>(e.k_len);
  sizes.heads = static_cast<int>(e.heads);
  sizes.head_width = static_cast<int>(e.head_width);
  sizes.positions = static_cast<int>(e.positions);
  sizes.shift = static_cast<int>(shift);
  sizes.table_group = static_cast<int>(e.group);
  return sizes;
}

fused::Problem problem_of(const AttentionInputs& in, const AttentionExtents& e, Scratch& scratch) {
  const int64_t keys = fused::tiles_of(e.k_len) * fused::kTile;
  const Tensor key_columns = scratch.tensor({e.batch, keys, fused::kKeyColumns}, DType::bf16);
  fused::Problem problem = sizes_of(in.shift, e);
  problem.q = in.q.as<BFloat16>();
  problem.k = in.k.as<BFloat16>();
  problem.v = in.v.as<BFloat16>();
  problem.r = in.r.as<BFloat16>();
  problem.content_bias = in.content_bias.as<BFloat16>();
  problem.position_bias = in.position_bias.as<BFloat16>();
  problem.segment_bias = in.segment_bias.as<BFloat16>();
  if (in.q_segments) {
    problem.segment_embedding = in.segment_embedding.as<BFloat16>();
    problem.q_segments = in.q_segments.as<uint8_t>();
    problem.k_segments = in.k_segments.as<uint8_t>();
  }
  problem.hidden = in.hidden ? in.hidden.as<uint8_t>() : nullptr;
  problem.key_columns = key_columns.as<BFloat16>();
  problem.cls_mask = in.cls_mask;
  problem.scale = 1.0f / math::sqrt(static_cast<float>(e.head_width));
  problem.dropout = in.dropout;
  return problem;
}

}  // namespace

bool fused_attention_takes(Device device, DType dtype, int64_t shift, const AttentionExtents& e) {
  return device == Device::cuda && dtype == DType::bf16 && e.head_width == 64 &&
         (shift == 1 || shift == 2);
}

int64_t fused_scratch_bytes(int64_t shift, const AttentionExtents& e) {
  const int64_t keys = e.batch * fused::tiles_of(e.k_len) * fused::kTile;
  const int64_t statistics = e.batch * e.heads * e.q_len * fused::kStatistics;
  const int64_t parts = fused::kParts * e.batch * fused::tiles_of(e.q_len) * e.width();
  return keys * fused::kKeyColumns * size_of(DType::bf16) +
         (statistics + parts + fused::table_parts_of(sizes_of(shift, e))) * size_of(DType::f32);
}

void attention_forward_fused(Context& context, const RelativeAttentionForward& args,
                             const AttentionExtents& extents) {
  Scratch scratch(context.scratch());
  const fused::Problem problem = problem_of(args.in, extents, scratch);
  fused::prepare_keys(context.stream(), problem);
  fused::forward(context.stream(), problem, args.context.as<BFloat16>(),
                 args.log_normaliser.as<float>());
}

void attention_backward_fused(Context& context, const RelativeAttentionBackward& args,
                              const AttentionExtents& e) {
  Scratch scratch(context.scratch());
  const fused::Problem problem = problem_of(args.in, e, scratch);
  const auto floats = [&](int64_t n) { return scratch.tensor({n}, DType::f32).as<float>(); };
  const int64_t query_blocks = e.batch * fused::tiles_of(e.q_len);
  const fused::Backward backward{
      .context = args.context.as<BFloat16>(),
      .dcontext = args.dcontext.as<BFloat16>(),
      .log_normaliser = args.log_normaliser.as<float>(),
      .dq = args.dq.as<BFloat16>(),
      .dk = args.dk.as<BFloat16>(),
      .dv = args.dv.as<BFloat16>(),
      .dr = args.dr.as<BFloat16>(),
      .statistics = floats(e.batch * e.heads * e.q_len * fused::kStatistics),
      .parts = floats(fused::kParts * query_blocks * e.width()),
      .table_parts = floats(fused::table_parts_of(problem))};
  fused::prepare_keys(context.stream(), problem);
  fused::backward_queries(context.stream(), problem, backward);
  fused::backward_keys(context.stream(), problem, backward);
  fused::backward_table(context.stream(), problem, backward);

  const ConstTensor parts(backward.parts, {fused::kParts, query_blocks, e.width()}, DType::f32,
                          context.device());
  sum_query_parts(context, parts, args);
}

}  // namespace funnel
