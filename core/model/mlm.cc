// SPDX-License-Identifier: Apache-2.0
#include "core/model/mlm.h"

#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

const Site kSite("mlm");

}  // namespace

MlmNetwork::MlmNetwork(Params& params, const std::string& prefix, const FunnelConfig& config,
                       const Embedding& embedding)
    : config_(config),
      embedding_(embedding),
      network_(params, prefix, config),
      head_(params, prefix + "mlm_head", config.width, embedding.table(),
            config.layer_norm_epsilon) {}

void MlmNetwork::forward(Step& step, Site site, const PretrainBatch& batch, Tensor metrics,
                         Saved& saved) {
  const DType dtype = embedding_.table().value.dtype();
  const int64_t tokens = batch.batch() * batch.seq();
  saved.embedded = step.saved.tensor({tokens, config_.embedding_width}, dtype);
  embedding_.forward(step, site / "embedding", batch.masked_ids, saved.embedded, saved.embedding);
  network_.forward(step, site, {batch.batch(), batch.seq(), batch.segments, batch.hidden},
                   saved.embedded, saved.network);

  const int64_t n = batch.positions.elements();
  FUNNEL_CHECK(batch.predicted() > 0, "mlm: a batch without a single target has no loss");
  saved.rows = step.saved.tensor({n}, DType::i32);
  flatten_positions(step.context, batch.positions, batch.seq(), saved.rows);
  head_.forward(step, saved.network.output, saved.rows, saved.head);

  Scratch scratch(step.context.scratch());
  Tensor losses = scratch.tensor({n}, compute_dtype(dtype));
  Tensor correct = scratch.tensor({n}, DType::u8);
  saved.logsumexp = step.saved.tensor({n}, compute_dtype(dtype));
  cross_entropy_forward(step.context, {.logits = saved.head.logits,
                                       .targets = batch.targets.reshaped({n}),
                                       .loss = losses,
                                       .logsumexp = saved.logsumexp,
                                       .correct = correct});
  const auto predicted = static_cast<double>(batch.predicted());
  sum_all(step.context, losses, 1.0 / predicted, place_of(Metric::mlm_loss, metrics));
  sum_all(step.context, correct, 1.0, place_of(Metric::mlm_correct, metrics));
  fill(step.context, predicted, place_of(Metric::predictions, metrics));
}

void MlmNetwork::backward(Step& step, Site site, const PretrainBatch& batch, Saved& saved) const {
  const int64_t n = batch.positions.elements();
  Scratch scratch(step.context.scratch());
  cross_entropy_backward(step.context, {.logits = saved.head.logits,
                                        .targets = batch.targets.reshaped({n}),
                                        .logsumexp = saved.logsumexp,
                                        .factor = 1.0 / static_cast<double>(batch.predicted())});
  const DType dtype = saved.embedded.dtype();
  Tensor doutput = scratch.tensor(saved.network.output.shape(), dtype);
  head_.backward(step, saved.head, saved.head.logits, doutput);
  Tensor dembedded = scratch.tensor(saved.embedded.shape(), dtype);
  network_.backward(step, site, saved.network, doutput, dembedded);
  embedding_.backward(step, site / "embedding", saved.embedding, dembedded);
}

Mlm::Mlm(Params& params, const PretrainConfig& config)
    : embedding_(params, "embedding", config.model.vocab, config.model.embedding_width,
                 config.model.layer_norm_epsilon, config.model.hidden_dropout),
      network_(params, "", config.model, embedding_) {}

void Mlm::forward(Step& step, const PretrainBatch& batch, Tensor metrics, Saved& saved) {
  step.context.fill_zero(metrics);
  network_.forward(step, kSite, batch, metrics, saved.network);
  step.context.copy(place_of(Metric::mlm_loss, metrics), place_of(Metric::loss, metrics));
}

void Mlm::backward(Step& step, const PretrainBatch& batch, Saved& saved) const {
  network_.backward(step, kSite, batch, saved.network);
}

}  // namespace funnel
