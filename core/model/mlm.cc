// SPDX-License-Identifier: Apache-2.0
#include "core/model/mlm.h"

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

void MlmNetwork::forward(Step& step, Site site, const PretrainBatch& batch, const Draw& draw,
                         Tensor metrics, Saved& saved) {
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

  const auto predicted = static_cast<double>(batch.predicted());
  Scratch scratch(step.context.scratch());
  Tensor losses = scratch.tensor({n}, compute_dtype(dtype));
  Tensor correct = scratch.tensor({n}, DType::u8);
  head_.predict(step,
                {.targets = batch.targets.reshaped({n}),
                 .factor = 1.0 / predicted,
                 .loss = losses,
                 .correct = correct,
                 .samples = draw.samples,
                 .stream = draw.stream,
                 .first_row = step.first_sample * batch.predictions()},
                saved.head);
  sum_all(step.context, losses, 1.0 / predicted, place_of(Metric::mlm_loss, metrics));
  sum_all(step.context, correct, 1.0, place_of(Metric::mlm_correct, metrics));
  fill(step.context, predicted, place_of(Metric::predictions, metrics));
}

void MlmNetwork::backward(Step& step, Site site, Saved& saved) const {
  Scratch scratch(step.context.scratch());
  const DType dtype = saved.embedded.dtype();
  Tensor doutput = scratch.tensor(saved.network.output.shape(), dtype);
  head_.backward(step, saved.head, doutput);
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
  network_.forward(step, kSite, batch, /*draw=*/{}, metrics, saved.network);
  step.context.copy(place_of(Metric::mlm_loss, metrics), place_of(Metric::loss, metrics));
}

void Mlm::backward(Step& step, Saved& saved) const {
  network_.backward(step, kSite, saved.network);
}

}  // namespace funnel
