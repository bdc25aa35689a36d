// SPDX-License-Identifier: Apache-2.0
#include "core/model/electra.h"

#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/sampling.h"

namespace funnel {
namespace {

const Site kGenerator("generator");
const Site kSampling("sampling");
const Site kDiscriminator("discriminator");

}  // namespace

Electra::Electra(Params& params, const PretrainConfig& config)
    : config_(config),
      embedding_(params, "embedding", config.model.vocab, config.model.embedding_width,
                 config.model.layer_norm_epsilon, config.model.hidden_dropout),
      discriminator_(params, "", config.model),
      head_(params, "discriminator_head", config.model.width),
      generator_(params, "generator/", generator_config(config), embedding_) {}

void Electra::forward(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved) {
  const int64_t n = batch.positions.elements();
  saved.samples = step.saved.tensor({n}, DType::i32);
  MlmNetwork::Draw draw;
  if (batch.samples) {
    step.context.copy(batch.samples.reshaped({n}), saved.samples);
  } else {
    draw = {saved.samples, RandomStream(step.seed, kSampling, step.number)};
  }
  generator_.forward(step, kGenerator, batch, draw, metrics, saved.generator);
  replace(step, batch, saved);
  discriminate(step, batch, saved);
  judge(step, batch, metrics, saved);
}

// The generator's words at the selected positions; no gradient flows through them.
void Electra::replace(Step& step, const PretrainBatch& batch, Saved& saved) const {
  const int64_t n = batch.positions.elements();
  saved.replaced_ids = step.saved.tensor(batch.input_ids.shape(), DType::i32);
  saved.labels = step.saved.tensor(batch.input_ids.shape(), DType::u8);
  replace_tokens(step.context, {.input_ids = batch.input_ids,
                                .rows = saved.generator.rows,
                                .samples = saved.samples,
                                .targets = batch.targets.reshaped({n}),
                                .label_one_is_original = config_.label_one_is_original,
                                .replaced_ids = saved.replaced_ids,
                                .labels = saved.labels});
}

void Electra::discriminate(Step& step, const PretrainBatch& batch, Saved& saved) {
  saved.embedded =
      step.saved.tensor(saved.generator.embedded.shape(), saved.generator.embedded.dtype());
  embedding_.forward(step, kDiscriminator / "embedding", saved.replaced_ids, saved.embedded,
                     saved.embedding);
  discriminator_.forward(step, kDiscriminator,
                         {batch.batch(), batch.seq(), batch.segments, batch.hidden}, saved.embedded,
                         saved.discriminator);
}

void Electra::judge(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved) const {
  const int64_t n = batch.input_ids.elements();
  FUNNEL_CHECK(batch.tokens > 0, "electra: a batch without a single token has no loss");
  const auto tokens = static_cast<double>(batch.tokens);
  Scratch scratch(step.context.scratch());
  Tensor losses = scratch.tensor({n}, compute_dtype(saved.embedded.dtype()));
  Tensor correct = scratch.tensor({n}, DType::u8);
  const ConstTensor padded = batch.padded.reshaped({n}), labels = saved.labels.reshaped({n});
  head_.forward(step, saved.discriminator.output,
                {.labels = labels,
                 .hidden = padded,
                 .factor = config_.discriminator_weight / tokens,
                 .loss = losses,
                 .correct = correct},
                saved.head);
  const Tensor loss = place_of(Metric::discriminator_loss, metrics);
  sum_all(step.context, losses, 1.0 / tokens, loss);
  sum_all(step.context, correct, 1.0, place_of(Metric::discriminator_correct, metrics));
  Tensor counted = scratch.tensor({n}, DType::u8);
  count_labels(step.context, labels, padded, config_.label_one_is_original ? 1 : 0, counted);
  sum_all(step.context, counted, 1.0, place_of(Metric::original_tokens, metrics));
  fill(step.context, tokens, place_of(Metric::tokens, metrics));
  add_scaled(step.context, place_of(Metric::mlm_loss, metrics), loss, config_.discriminator_weight,
             place_of(Metric::loss, metrics));
}

void Electra::backward(Step& step, Saved& saved) const {
  {
    const DType dtype = saved.embedded.dtype();
    Scratch scratch(step.context.scratch());
    Tensor doutput = scratch.tensor(saved.discriminator.output.shape(), dtype);
    head_.backward(step, saved.head, doutput);
    Tensor dembedded = scratch.tensor(saved.embedded.shape(), dtype);
    discriminator_.backward(step, kDiscriminator, saved.discriminator, doutput, dembedded);
    embedding_.backward(step, kDiscriminator / "embedding", saved.embedding, dembedded);
  }
  generator_.backward(step, kGenerator, saved.generator);
}

}  // namespace funnel
