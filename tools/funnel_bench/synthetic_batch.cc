// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/synthetic_batch.h"

#include "core/base/random.h"

namespace funnel {

SyntheticBatch::SyntheticBatch(const RunConfig& config) : memory_(Device::cpu) {
  const int64_t batch = config.train.shard_batch(), seq = config.data.seq_len;
  const int64_t predictions = config.corruption.predictions;
  const auto vocab = static_cast<uint32_t>(config.pretrain.model.vocab);
  const Shape text{batch, seq}, selected{batch, predictions};
  Tensor ids = memory_.tensor(text, DType::i32), segments = memory_.tensor(text, DType::u8);
  Tensor padded = memory_.tensor(text, DType::u8);
  Tensor positions = memory_.tensor(selected, DType::i32);
  Tensor targets = memory_.tensor(selected, DType::i32);
  const RandomStream stream(1, Site("synthetic batch"), 0);
  for (int64_t i = 0; i < batch * seq; ++i) {
    const int64_t t = i % seq;
    ids.as<int32_t>()[i] = static_cast<int32_t>(stream.bits(i).word[0] % vocab);
    segments.as<uint8_t>()[i] = t == 0 ? 2 : (2 * t < seq ? 0 : 1);
    padded.as<uint8_t>()[i] = 0;
  }
  for (int64_t i = 0; i < batch * predictions; ++i) {
    const int64_t at = 1 + (i % predictions) * (seq - 1) / predictions;
    positions.as<int32_t>()[i] = static_cast<int32_t>(at);
    targets.as<int32_t>()[i] = ids.as<int32_t>()[i / predictions * seq + at];
  }
  batch_ = {.input_ids = ids,
            .masked_ids = ids,
            .segments = segments,
            .hidden = {},
            .padded = padded,
            .positions = positions,
            .targets = targets,
            .samples = {},
            .tokens = batch * seq,
            .absent_targets = 0};
}

}  // namespace funnel
