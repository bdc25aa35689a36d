// SPDX-License-Identifier: Apache-2.0
#include "core/model/pretrain_batch.h"

#include <cstring>

#include "core/ops/index_check.h"

namespace funnel {

void check_batch(const PretrainBatch& batch, int64_t vocab) {
  check_indices("batch: token", batch.input_ids, vocab, "a vocabulary");
  check_indices("batch: masked token", batch.masked_ids, vocab, "a vocabulary");
  check_indices("batch: target", batch.targets, vocab, "a vocabulary", kNoTarget);
  check_indices("batch: position", batch.positions, batch.seq(), "a sequence");
  if (batch.samples) check_indices("batch: sample", batch.samples, vocab, "a vocabulary");
}

PretrainBatch BatchUpload::to_device(Context& context, Arena& memory, const PretrainBatch& batch,
                                     int64_t vocab) {
  if (batch.input_ids.device() == context.device()) return batch;
  check_batch(batch, vocab);
  PretrainBatch moved = batch;
  ConstTensor* const tensors[] = {&moved.input_ids, &moved.masked_ids, &moved.segments,
                                  &moved.hidden,    &moved.padded,     &moved.positions,
                                  &moved.targets,   &moved.samples};
  int64_t bytes = 0;
  for (const ConstTensor* tensor : tensors) bytes += align_up(tensor->bytes());
  if (bytes > staging_.bytes()) staging_ = Buffer::for_transfer(context.device(), bytes);
  const Tensor on_device = memory.tensor({bytes}, DType::u8);
  int64_t at = 0;
  for (ConstTensor* tensor : tensors) {
    if (!*tensor) continue;
    std::memcpy(staging_.data() + at, tensor->data(), tensor->bytes());
    *tensor = ConstTensor(on_device.as<uint8_t>() + at, tensor->shape(), tensor->dtype(),
                          context.device());
    at += align_up(tensor->bytes());
  }
  context.upload(staging_.tensor({bytes}, DType::u8), on_device);
  return moved;
}

PretrainMetrics read_metrics(Context& context, ConstTensor metrics) {
  std::array<double, PretrainMetrics::kCount> values;
  context.download(metrics, Tensor(values.data(), {PretrainMetrics::kCount}, DType::f64));
  return PretrainMetrics::from_array(values);
}

}  // namespace funnel
