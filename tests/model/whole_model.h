// SPDX-License-Identifier: Apache-2.0
// Whole models behind one interface, so that a test runs any objective the same way: MLM, ELECTRA,
// a discriminator alone, and a bare network whose loss is a linear functional of its last hidden
// states.
#pragma once

#include <memory>
#include <string>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/model/electra.h"
#include "core/model/mlm.h"
#include "core/model/model_config.h"
#include "core/model/pretrain_batch.h"
#include "tests/support/device_under_test.h"

namespace funnel::testing {

struct ModelInputs {
  PretrainBatch batch;    // a discriminator alone and a bare network read input_ids of it
  ConstTensor labels;     // [batch, seq] u8, of a discriminator alone
  ConstTensor cotangent;  // [batch, seq, width], of a bare network
};

class WholeModel {
 public:
  virtual ~WholeModel() = default;
  // Returns what is trained on.
  virtual double forward(Step& step, const ModelInputs& inputs) = 0;
  virtual void backward(Step& step, const ModelInputs& inputs) = 0;
  // What the last forward kept of the network proper, and of ELECTRA's generator.
  virtual const FunnelNetwork::Saved& network() const = 0;
  virtual const Electra::Saved* electra() const { return nullptr; }
  // What the last forward of an objective measured.
  virtual PretrainMetrics metrics() const { return {}; }
};

// objective: "mlm", "electra", "discriminator" or "hidden".
std::unique_ptr<WholeModel> make_whole_model(const std::string& objective, Params& params,
                                             const PretrainConfig& config);

// A model with everything that a step needs.
class Rig {
 public:
  Rig(DType dtype, const std::string& objective, const PretrainConfig& config);

  // Random values of every parameter, also of biases and around gains.
  void randomise(uint64_t seed);
  // What a step starts from: empty arena, zero gradients.
  void reset();
  double forward(const ModelInputs& inputs);
  // forward and backward from zero gradients; the loss.
  double run(const ModelInputs& inputs);

  WholeModel& model() { return *model_; }

  Context& context = context_under_test();
  Arena saved{device_under_test()};
  Params params;
  Step step{context, saved};

 private:
  std::unique_ptr<WholeModel> model_;
};

}  // namespace funnel::testing
