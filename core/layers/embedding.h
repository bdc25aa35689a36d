// SPDX-License-Identifier: Apache-2.0
//     y = dropout(norm(table[ids]))
// There are no position or segment embeddings: both live in attention. ELECTRA's two networks share
// one Embedding and call it at different sites.
#pragma once

#include <string>

#include "core/layers/norm.h"
#include "core/layers/params.h"
#include "core/layers/step.h"

namespace funnel {

class Embedding {
 public:
  struct Saved {
    ConstTensor ids;   // [rows] i32, the caller's
    Norm::Saved norm;  // [rows, width], the rows of the table, and two numbers a row
  };

  // Registers path/table [vocab, width] and path/norm.
  Embedding(Params& params, const std::string& path, int64_t vocab, int64_t width, double epsilon,
            double dropout);

  // y [rows, width]; ids [batch, seq].
  void forward(Step& step, Site site, ConstTensor ids, Tensor y, Saved& saved) const;
  // Consumes dy [rows, width] (it is overwritten).
  void backward(Step& step, Site site, const Saved& saved, Tensor dy) const;

  const Param& table() const { return table_; }

 private:
  Dropout dropout(Step& step, Site site, ConstTensor ids) const;

  int64_t width_;
  double dropout_;
  Param& table_;
  Norm norm_;
};

}  // namespace funnel
