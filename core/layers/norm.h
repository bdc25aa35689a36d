// SPDX-License-Identifier: Apache-2.0
// Layer normalisation: alone, and as the end of a sub-layer, y = norm(residual + dropout(branch)).
#pragma once

#include <string>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "core/ops/residual_norm.h"

namespace funnel {

class Norm {
 public:
  struct Saved {
    ConstTensor x;      // [rows, width], what was normalised
    Tensor mean, rstd;  // [rows]
  };

  // Registers path/gamma and path/beta.
  Norm(Params& params, const std::string& path, int64_t width, double epsilon);

  // y [rows, width] from x; must not be x.
  void forward(Step& step, ConstTensor x, Tensor y, Saved& saved) const;
  // dx [rows, width], may be dy.
  void backward(Step& step, const Saved& saved, ConstTensor dy, Tensor dx) const;

 private:
  friend class ResidualNorm;
  Param& gamma_;
  Param& beta_;
  double epsilon_;
};

class ResidualNorm {
 public:
  using Saved = Norm::Saved;  // x is the sum

  ResidualNorm(Params& params, const std::string& path, int64_t width, double epsilon,
               double dropout)
      : norm_(params, path, width, epsilon), dropout_(dropout) {}

  // y [rows, width]; branch [rows, width] is kept and changed (it becomes the sum). rows_per_sample
  // tells which part of the global batch's dropout mask applies. The outlet takes y on to another
  // length.
  void forward(Step& step, Site site, ConstTensor residual, Tensor branch, Tensor y,
               int64_t rows_per_sample, Saved& saved, const NormOutlet& outlet = {}) const;
  struct Gradients {
    Tensor dresidual;  // [rows, width], may be gradient.dy
    Tensor dbranch;    // [rows, width], must not be gradient.dy
    Tensor dbias;      // [width], accumulated: the column sums of dbranch
  };
  void backward(Step& step, Site site, const Saved& saved, const NormGradient& gradient,
                int64_t rows_per_sample, const Gradients& to) const;

 private:
  Dropout dropout(Step& step, Site site, ConstTensor x, int64_t rows_per_sample) const;

  Norm norm_;
  double dropout_;
};

}  // namespace funnel
