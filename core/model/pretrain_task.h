// SPDX-License-Identifier: Apache-2.0
// The objective chosen by the configuration, as one thing: a model with its parameters and the
// activations of the pass under way.
#pragma once

#include <variant>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/model/electra.h"
#include "core/model/mlm.h"
#include "core/model/model_config.h"
#include "core/model/pretrain_batch.h"

namespace funnel {

class PretrainTask {
 public:
  // Registers the model's parameters; the caller allocates and fills them.
  PretrainTask(Params& params, const PretrainConfig& config);

  // The batch lies on the step's device. Parameter gradients must have been cleared:
  // forward and backward together accumulate those of the loss. metrics [PretrainMetrics::kCount]
  // f64 is overwritten; it is for the caller to read when he means to wait (read_metrics).
  void forward(Step& step, const PretrainBatch& batch, Tensor metrics);
  // Of the last forward, whose batch must still be there.
  void backward(Step& step);

 private:
  template <class Model>
  struct Running {
    Running(Params& params, const PretrainConfig& config) : model(params, config) {}
    Model model;
    typename Model::Saved saved;
  };
  using AnyModel = std::variant<Running<Mlm>, Running<Electra>>;
  static AnyModel make(Params& params, const PretrainConfig& config);

  AnyModel running_;
};

}  // namespace funnel
