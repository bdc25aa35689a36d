// SPDX-License-Identifier: Apache-2.0
//     y = norm(x + dropout(down(dropout_a(gelu(up(x))))))
// Post-norm, as in laiguokun/Funnel-Transformer, tensorflow/ops.py (positionwise_ffn).
#pragma once

#include <string>

#include "core/layers/linear.h"
#include "core/layers/norm.h"
#include "core/layers/params.h"
#include "core/layers/step.h"

namespace funnel {

struct FeedForwardSizes {
  int64_t width = 0, inner = 0;
  double hidden_dropout = 0, activation_dropout = 0, epsilon = 1e-8;
};

class FeedForward {
 public:
  struct Saved {
    Linear::Saved up;    // x [rows, width], the caller's
    Tensor pre;          // [rows, inner], before gelu
    Linear::Saved down;  // [rows, inner], after gelu and its dropout
    Norm::Saved norm;    // [rows, width] and two numbers a row
  };

  FeedForward(Params& params, const std::string& path, const FeedForwardSizes& sizes);

  // y [rows, width] from x [rows, width]; rows = samples * rows_per_sample. The outlet takes y on
  // to another length.
  void forward(Step& step, Site site, ConstTensor x, Tensor y, int64_t rows_per_sample,
               Saved& saved, const NormOutlet& outlet = {}) const;
  // dx [rows, width], may be gradient.dy.
  void backward(Step& step, Site site, const Saved& saved, const NormGradient& gradient, Tensor dx,
                int64_t rows_per_sample) const;

 private:
  Dropout activation_dropout(Step& step, Site site, int64_t rows_per_sample) const;

  FeedForwardSizes sizes_;
  Linear up_, down_;
  ResidualNorm norm_;
};

}  // namespace funnel
