// SPDX-License-Identifier: Apache-2.0
#include "tests/model/whole_model.h"

#include "core/layers/embedding.h"
#include "core/layers/heads.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {
namespace {

SequenceInputs sequence_of(const PretrainBatch& batch) {
  return {batch.batch(), batch.seq(), batch.segments, batch.hidden};
}

double sum_of(ConstTensor tensor) {
  double total = 0;
  for (double value : values_of(tensor)) total += value;
  return total;
}

template <class Model>
class Pretraining : public WholeModel {
 public:
  Pretraining(Params& params, const PretrainConfig& config) : model_(params, config) {}
  double forward(Step& step, const ModelInputs& inputs) override {
    Scratch scratch(step.context.scratch());
    const Tensor metrics = scratch.tensor({PretrainMetrics::kCount}, DType::f64);
    model_.forward(step, inputs.batch, metrics, saved_);
    metrics_ = read_metrics(step.context, metrics);
    return metrics_.loss;
  }
  void backward(Step& step, const ModelInputs&) override { model_.backward(step, saved_); }
  const FunnelNetwork::Saved& network() const override {
    if constexpr (std::is_same_v<Model, Electra>) return saved_.discriminator;
    if constexpr (std::is_same_v<Model, Mlm>) return saved_.network.network;
  }
  const Electra::Saved* electra() const override {
    if constexpr (std::is_same_v<Model, Electra>) return &saved_;
    return nullptr;
  }
  PretrainMetrics metrics() const override { return metrics_; }

 private:
  Model model_;
  typename Model::Saved saved_;
  PretrainMetrics metrics_;
};

// An embedding and a network; its loss is the functional `cotangent` of the last hidden states.
class BareNetwork : public WholeModel {
 public:
  BareNetwork(Params& params, const PretrainConfig& config)
      : embedding_(params, "embedding", config.model.vocab, config.model.embedding_width,
                   config.model.layer_norm_epsilon, config.model.hidden_dropout),
        network_(params, "", config.model),
        embedding_width_(config.model.embedding_width) {}

  double forward(Step& step, const ModelInputs& inputs) override {
    run(step, inputs);
    const std::vector<double> hidden = values_of(saved_.output);
    const std::vector<double> weights = values_of(inputs.cotangent);
    double loss = 0;
    for (size_t i = 0; i < hidden.size(); ++i) loss += hidden.at(i) * weights.at(i);
    return loss;
  }
  void backward(Step& step, const ModelInputs& inputs) override {
    Scratch scratch(step.context.scratch());
    Tensor doutput = scratch.tensor(saved_.output.shape(), saved_.output.dtype());
    step.context.copy(inputs.cotangent.reshaped(doutput.shape()), doutput);
    send_back(step, doutput);
  }
  const FunnelNetwork::Saved& network() const override { return saved_; }

 protected:
  void run(Step& step, const ModelInputs& inputs) {
    const PretrainBatch& batch = inputs.batch;
    embedded_ = step.saved.tensor({batch.batch() * batch.seq(), embedding_width_},
                                  embedding_.table().value.dtype());
    embedding_.forward(step, kSite / "embedding", batch.input_ids, embedded_, saved_embedding_);
    network_.forward(step, kSite, sequence_of(batch), embedded_, saved_);
  }
  void send_back(Step& step, Tensor doutput) {
    Scratch scratch(step.context.scratch());
    Tensor dembedded = scratch.tensor(embedded_.shape(), embedded_.dtype());
    network_.backward(step, kSite, saved_, doutput, dembedded);
    embedding_.backward(step, kSite / "embedding", saved_embedding_, dembedded);
  }

 private:
  static constexpr Site kSite{"network"};
  Embedding embedding_;
  FunnelNetwork network_;
  int64_t embedding_width_;
  Tensor embedded_;
  Embedding::Saved saved_embedding_;
  FunnelNetwork::Saved saved_;
};

class Discriminator : public BareNetwork {
 public:
  Discriminator(Params& params, const PretrainConfig& config)
      : BareNetwork(params, config),
        head_(params, "discriminator_head", config.model.width),
        weight_(config.discriminator_weight) {}

  double forward(Step& step, const ModelInputs& inputs) override {
    run(step, inputs);
    const int64_t n = inputs.batch.input_ids.elements();
    Scratch scratch(step.context.scratch());
    Tensor losses = scratch.tensor({n}, compute_dtype(network().output.dtype()));
    head_.forward(step, network().output,
                  {.labels = inputs.labels.reshaped({n}),
                   .hidden = inputs.batch.padded.reshaped({n}),
                   .factor = factor(inputs),
                   .loss = losses,
                   .correct = scratch.tensor({n}, DType::u8)},
                  saved_head_);
    return sum_of(losses) * factor(inputs);
  }
  void backward(Step& step, const ModelInputs&) override {
    Scratch scratch(step.context.scratch());
    Tensor doutput = scratch.tensor(network().output.shape(), network().output.dtype());
    head_.backward(step, saved_head_, doutput);
    send_back(step, doutput);
  }

 private:
  double factor(const ModelInputs& inputs) const {
    return weight_ / static_cast<double>(inputs.batch.tokens);
  }

  DiscriminatorHead head_;
  DiscriminatorHead::Saved saved_head_;
  double weight_;
};

}  // namespace

std::unique_ptr<WholeModel> make_whole_model(const std::string& objective, Params& params,
                                             const PretrainConfig& config) {
  if (objective == "mlm") return std::make_unique<Pretraining<Mlm>>(params, config);
  if (objective == "electra") return std::make_unique<Pretraining<Electra>>(params, config);
  if (objective == "discriminator") return std::make_unique<Discriminator>(params, config);
  FUNNEL_CHECK(objective == "hidden", "expected an objective, found ", objective);
  return std::make_unique<BareNetwork>(params, config);
}

Rig::Rig(DType dtype, const std::string& objective, const PretrainConfig& config)
    : params(dtype), model_(make_whole_model(objective, params, config)) {
  params.allocate(context);
  params.initialise(context, 1, 0.02);
}

void Rig::randomise(uint64_t seed) {
  for (const Param& param : params.all()) {
    const double mean = param.kind == ParamKind::norm_gain ? 1 : 0;
    set_values(param.value, random_values(param.value.elements(), ++seed, mean, 0.4));
  }
}

void Rig::reset() {
  saved.reset();
  context.scratch().reset();
  context.fill_zero(params.grads());
}

double Rig::forward(const ModelInputs& inputs) {
  saved.reset();
  context.scratch().reset();
  return model_->forward(step, inputs);
}

double Rig::run(const ModelInputs& inputs) {
  reset();
  const double loss = model_->forward(step, inputs);
  model_->backward(step, inputs);
  return loss;
}

}  // namespace funnel::testing
