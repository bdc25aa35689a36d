// SPDX-License-Identifier: Apache-2.0
#include "core/model/pretrain_batch.h"

#include "core/ops/index_check.h"

namespace funnel {

void check_batch(const PretrainBatch& batch, int64_t vocab) {
  check_indices("batch: token", batch.input_ids, vocab, "a vocabulary");
  check_indices("batch: masked token", batch.masked_ids, vocab, "a vocabulary");
  check_indices("batch: target", batch.targets, vocab, "a vocabulary");
  check_indices("batch: position", batch.positions, batch.seq(), "a sequence");
  if (batch.samples) check_indices("batch: sample", batch.samples, vocab, "a vocabulary");
}

PretrainBatch batch_on_device(Context& context, Arena& memory, const PretrainBatch& batch,
                              int64_t vocab) {
  if (batch.input_ids.device() == context.device()) return batch;
  check_batch(batch, vocab);
  PretrainBatch on_device = batch;
  for (ConstTensor* tensor :
       {&on_device.input_ids, &on_device.masked_ids, &on_device.segments, &on_device.hidden,
        &on_device.padded, &on_device.positions, &on_device.targets, &on_device.samples}) {
    if (!*tensor) continue;
    const Tensor copy = memory.tensor(tensor->shape(), tensor->dtype());
    context.upload(*tensor, copy);
    *tensor = copy;
  }
  return on_device;
}

PretrainMetrics read_metrics(Context& context, ConstTensor metrics) {
  std::array<double, PretrainMetrics::kCount> values;
  context.download(metrics, Tensor(values.data(), {PretrainMetrics::kCount}, DType::f64));
  return PretrainMetrics::from_array(values);
}

}  // namespace funnel
