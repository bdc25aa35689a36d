// SPDX-License-Identifier: Apache-2.0
#include "core/model/pretrain_task.h"

namespace funnel {

// Models are built in place: their parts refer to one another.
PretrainTask::AnyModel PretrainTask::make(Params& params, const PretrainConfig& config) {
  if (config.objective == Objective::mlm) {
    return AnyModel(std::in_place_type<Running<Mlm>>, params, config);
  }
  return AnyModel(std::in_place_type<Running<Electra>>, params, config);
}

PretrainTask::PretrainTask(Params& params, const PretrainConfig& config)
    : running_(make(params, config)) {}

void PretrainTask::forward(Step& step, const PretrainBatch& batch, Tensor metrics) {
  check_shape("pretrain_task: metrics", metrics, {PretrainMetrics::kCount});
  std::visit([&](auto& r) { r.model.forward(step, batch, metrics, r.saved); }, running_);
}

void PretrainTask::backward(Step& step) {
  std::visit([&](auto& r) { r.model.backward(step, r.saved); }, running_);
}

}  // namespace funnel
