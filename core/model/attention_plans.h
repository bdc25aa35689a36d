// SPDX-License-Identifier: Apache-2.0
// From a batch's segments and hidden flags to what every block's layers attend with: positions,
// segments and masks of the unpooled and the pooled sequences.
//
// Block b works at stride 2^b. A pooled token inherits the segment and the position of the first
// member of its window; with separate_cls, CLS sits one stride before the first real position.
// (laiguokun/Funnel-Transformer, tensorflow/modeling.py)
#pragma once

#include <vector>

#include "core/layers/position_tables.h"
#include "core/layers/relative_attention.h"
#include "core/layers/step.h"
#include "core/model/model_config.h"
#include "core/ops/pooling.h"

namespace funnel {

struct SequenceInputs {
  int64_t batch = 0, seq = 0;
  ConstTensor segments;  // [batch, seq] u8: 0, 1, or 2 for CLS; null: attention has no segment term
  ConstTensor hidden;    // [batch, seq] u8, 1 = nobody attends to it; null: all are seen
};

struct BlockPlan {
  PoolWindows windows;  // from the block before; unused in block 0
  AttentionPlan pool;   // pooled queries to unpooled keys; unused in block 0
  AttentionPlan self;
};

// One plan a block. Pooled flags and dropped-out tables come from step.saved.
std::vector<BlockPlan> plan_blocks(Step& step, Site site, const FunnelConfig& config,
                                   PositionTables& tables, const SequenceInputs& inputs);

// What the decoder attends with: block 0's plan, its table shared or drawn anew (PositionDropout).
AttentionPlan plan_decoder(Step& step, Site site, const FunnelConfig& config,
                           PositionTables& tables, const AttentionPlan& first_block);

}  // namespace funnel
