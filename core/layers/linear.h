// SPDX-License-Identifier: Apache-2.0
//     y = x W (+ b),   W [in, out]
#pragma once

#include <string>

#include "core/layers/params.h"
#include "core/layers/step.h"

namespace funnel {

class Linear {
 public:
  struct Saved {
    ConstTensor x;  // [rows, in], the caller's
  };

  // Registers path/kernel and, with a bias, path/bias.
  Linear(Params& params, const std::string& path, int64_t in, int64_t out, bool with_bias);

  // y [rows, out] from x [rows, in].
  void forward(Step& step, ConstTensor x, Tensor y, Saved& saved) const;
  // pre [rows, out] as y above, and y = dropout(gelu(pre)).
  void forward_gelu(Step& step, const Dropout& dropout, ConstTensor x, Tensor pre, Tensor y,
                    Saved& saved) const;
  struct Backward {
    bool accumulate_dx = false;  // dx is added to, not overwritten
    bool bias_is_done = false;   // who made dy has added its column sums to bias_gradient()
  };
  // dx [rows, in]; a null dx is not computed.
  void backward(Step& step, const Saved& saved, ConstTensor dy, Tensor dx,
                const Backward& how) const;
  void backward(Step& step, const Saved& saved, ConstTensor dy, Tensor dx) const {
    backward(step, saved, dy, dx, {});
  }
  // The same for a layer whose x is dropout(gelu(pre)), on to the gradient of pre [rows, in]. The
  // bias is done.
  void backward_gelu(Step& step, const Saved& saved, ConstTensor dy, const Dropout& dropout,
                     ConstTensor pre, Tensor dpre) const;

  // [out], of a layer with a bias: for who adds to it when making dy.
  Tensor bias_gradient() const { return bias_->grad; }

 private:
  Param& kernel_;
  Param* bias_;
};

}  // namespace funnel
