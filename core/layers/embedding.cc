// SPDX-License-Identifier: Apache-2.0
#include "core/layers/embedding.h"

#include "core/ops/embedding.h"

namespace funnel {

Embedding::Embedding(Params& params, const std::string& path, int64_t vocab, int64_t width,
                     double epsilon, double dropout)
    : width_(width),
      dropout_(dropout),
      table_(params.add(path + "/table", {vocab, width}, ParamKind::weight)),
      norm_(params, path + "/norm", width, epsilon) {}

Dropout Embedding::dropout(Step& step, Site site, ConstTensor ids) const {
  return step.dropout(site / "dropout", dropout_, ids.cols() * width_);
}

void Embedding::forward(Step& step, Site site, ConstTensor ids, Tensor y, Saved& saved) const {
  saved.ids = ids;
  Tensor rows = step.saved.tensor({ids.elements(), width_}, y.dtype());
  gather_rows(step.context, table_.value, ids.reshaped({ids.elements()}), rows);
  norm_.forward(step, rows, y, saved.norm);
  apply_dropout(step.context, dropout(step, site, ids), y, y);
}

void Embedding::backward(Step& step, Site site, const Saved& saved, Tensor dy) const {
  apply_dropout(step.context, dropout(step, site, saved.ids), dy, dy);
  norm_.backward(step, saved.norm, dy, dy);
  scatter_add_rows(step.context, dy, saved.ids.reshaped({saved.ids.elements()}), table_.grad);
}

}  // namespace funnel
