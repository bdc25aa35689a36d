// SPDX-License-Identifier: Apache-2.0
#include "core/model/attention_plans.h"

#include "core/ops/sinusoid.h"

namespace funnel {
namespace {

// A table's geometry: row c holds distance first - c * step.
struct Geometry {
  int64_t first, step, rows;
};

// Queries at stride q_stride attend to keys at stride k_stride. Row c = shift (q_len - i) + j must
// hold position(i) - position(j), where position 0 of either side is its CLS, one stride before
// token 1 at position 1 (or position 0 without a separate CLS).
Geometry geometry(const AttentionPlan& plan, int64_t k_stride, bool separate_cls) {
  const int64_t q_stride = plan.shift * k_stride;
  const int64_t between_cls = separate_cls ? k_stride - q_stride : 0;
  return {between_cls + q_stride * plan.q_len, k_stride, plan.shift * plan.q_len + plan.k_len};
}

// The table of a geometry, dropped out if the step trains.
ConstTensor positions(Step& step, Site site, const FunnelConfig& config, PositionTables& tables,
                      const Geometry& geometry, int64_t seq) {
  const ConstTensor table =
      tables.table(step.context, geometry.first, geometry.step, geometry.rows);
  // One mask serves the whole global batch, so its elements do not depend on the first sample.
  const Dropout dropout =
      step.training && config.hidden_dropout > 0
          ? Dropout(config.hidden_dropout, RandomStream(step.seed, site, step.number), 0)
          : Dropout();
  if (!dropout.active()) return table;
  Tensor dropped = step.saved.tensor(table.shape(), table.dtype());
  if (config.position_dropout == PositionDropout::per_table) {
    apply_dropout(step.context, dropout, table, dropped);
    return dropped;
  }
  step.context.copy(table, dropped);
  const int64_t offset =
      4 * (seq + (int64_t{1} << config.blocks.size()));  // makes distances positive
  drop_by_distance(step.context, dropout,
                   {.first_distance = geometry.first, .step = geometry.step, .table = dropped},
                   offset);
  return dropped;
}

Site table_site(Site site, const FunnelConfig& config, int64_t table) {
  return config.position_dropout == PositionDropout::per_table ? site / "positions" / table
                                                               : site / "positions";
}

AttentionPlan self_plan(const SequenceInputs& inputs, const FunnelConfig& config) {
  return {.batch = inputs.batch,
          .q_len = inputs.seq,
          .k_len = inputs.seq,
          .shift = 1,
          .positions = {},
          .q_segments = inputs.segments,
          .k_segments = inputs.segments,
          .hidden = inputs.hidden,
          .cls_mask = config.has_cls_mask()};
}

// The sequence after pooling: its length, segments and hidden flags.
SequenceInputs pool_inputs(Step& step, const PoolWindows& windows, const SequenceInputs& inputs) {
  SequenceInputs pooled{inputs.batch, windows.pooled(), {}, {}};
  const Shape shape{pooled.batch, pooled.seq};
  if (inputs.segments) {
    Tensor segments = step.saved.tensor(shape, DType::u8);
    pool_segments(step.context, windows, inputs.segments, segments);
    pooled.segments = segments;
  }
  if (inputs.hidden) {
    Tensor hidden = step.saved.tensor(shape, DType::u8);
    pool_hidden(step.context, windows, inputs.hidden, hidden);
    pooled.hidden = hidden;
  }
  return pooled;
}

}  // namespace

std::vector<BlockPlan> plan_blocks(Step& step, Site site, const FunnelConfig& config,
                                   PositionTables& tables, const SequenceInputs& inputs) {
  std::vector<BlockPlan> plans(config.blocks.size());
  SequenceInputs current = inputs;
  for (size_t b = 0; b < plans.size(); ++b) {
    BlockPlan& plan = plans[b];
    const int64_t stride = int64_t{1} << b;
    const auto table = [&](const AttentionPlan& attention, int64_t k_stride, int64_t number) {
      return positions(step, table_site(site, config, number), config, tables,
                       geometry(attention, k_stride, config.separate_cls), inputs.seq);
    };
    if (b > 0) {
      plan.windows = {current.seq, config.separate_cls, config.truncate_seq};
      const SequenceInputs pooled = pool_inputs(step, plan.windows, current);
      plan.pool = self_plan(current, config);
      plan.pool.q_len = pooled.seq;
      plan.pool.q_segments = pooled.segments;
      plan.pool.shift = 2;
      if (config.pool_query_only) {
        plan.pool.positions = table(plan.pool, stride / 2, static_cast<int64_t>(2 * b - 1));
      }
      current = pooled;
    }
    plan.self = self_plan(current, config);
    plan.self.positions = table(plan.self, stride, static_cast<int64_t>(2 * b));
  }
  return plans;
}

AttentionPlan plan_decoder(Step& step, Site site, const FunnelConfig& config,
                           PositionTables& tables, const AttentionPlan& first_block) {
  AttentionPlan plan = first_block;
  if (config.position_dropout == PositionDropout::by_distance) {
    plan.positions = positions(step, site / "positions", config, tables,
                               geometry(plan, 1, config.separate_cls), plan.q_len);
  }
  return plan;
}

}  // namespace funnel
