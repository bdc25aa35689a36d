// SPDX-License-Identifier: Apache-2.0
#include "launch/memory_advice.h"

#include <algorithm>
#include <bit>

#include "core/base/error.h"
#include "core/layers/heads.h"
#include "core/model/model_memory.h"
#include "core/ops/relative_attention.h"

namespace funnel {
namespace {

constexpr int64_t kFloat = size_of(DType::f32);

DType activation_dtype(const RunConfig& config) {
  return storage_dtype(config.precision, Device::cuda);
}

// What does not depend on sizes: cuBLASLt's workspace, and the pieces that ranks exchange.
constexpr int64_t kWorkspace = int64_t{32} << 20, kPieces = int64_t{16} << 20;
// A growing arena's chunks double, and the last may be used in part only.
constexpr int64_t kRoomToGrow = 2;

// The largest of what passes: attention over whole sequences, the feed-forward layer's matrices,
// and the logits of as many rows as exist at a time.
int64_t scratch_bytes(const RunConfig& config, int64_t sequences) {
  const FunnelConfig& model = config.pretrain.model;
  const int64_t seq = config.data.seq_len;
  const DType dtype = activation_dtype(config);
  const int64_t attention = attention_scratch_bytes(dtype, /*shift=*/1,
                                                    {.batch = sequences,
                                                     .q_len = seq,
                                                     .k_len = seq,
                                                     .heads = model.heads,
                                                     .head_width = model.head_width,
                                                     .positions = 2 * seq});
  const int64_t inner = 2 * sequences * seq * model.inner * kFloat;
  const int64_t rows = std::min(sequences * config.corruption.predictions,
                                MlmHead::rows_at_once(model.vocab, dtype));
  const int64_t logits = rows * model.vocab * size_of(dtype);
  return std::max({attention, inner, logits});
}

int64_t as_mib(int64_t bytes) {
  return (bytes >> 20) + 1;
}

}  // namespace

int64_t device_bytes_needed(const RunConfig& config, int ranks, int64_t sequences) {
  const int64_t shards = config.train.global_batch / sequences / ranks;
  const int64_t partial_sums = std::bit_width(static_cast<uint64_t>(shards)) - 1;
  const int64_t flat = flat_elements(config.pretrain);
  const bool is_bf16 = activation_dtype(config) == DType::bf16;
  const int64_t rounded = is_bf16 ? flat * size_of(DType::bf16) : 0;
  const int64_t state = (4 + partial_sums) * flat * kFloat + rounded;
  const SavedMemory saved =
      saved_memory(config.pretrain, {.batch = sequences,
                                     .seq = config.data.seq_len,
                                     .predictions = config.corruption.predictions,
                                     .dtype = activation_dtype(config)});
  const int64_t fixed = kWorkspace + (ranks > 1 ? kPieces : 0);
  return fixed + state + kRoomToGrow * (saved.total() + scratch_bytes(config, sequences));
}

std::string what_would_fit(const RunConfig& config, int ranks, int64_t obtainable) {
  const TrainConfig& train = config.train;
  int64_t needed = 0;
  for (int64_t shards = train.logical_shards;
       shards <= train.global_batch && train.global_batch % shards == 0; shards *= 2) {
    const int64_t sequences = train.global_batch / shards;
    needed = device_bytes_needed(config, ranks, sequences);
    if (shards > train.logical_shards && needed < obtainable) {
      return concat("train.logical_shards=", shards, " (", sequences, " instead of ",
                    train.shard_batch(), " sequences at a time) would need about ", as_mib(needed),
                    " of the ", as_mib(obtainable), " MiB that can be had");
    }
  }
  return concat("no train.logical_shards of this global batch needs less than about ",
                as_mib(needed), " MiB, and ", as_mib(obtainable),
                " MiB can be had: a smaller model or data.seq_len would fit");
}

}  // namespace funnel
