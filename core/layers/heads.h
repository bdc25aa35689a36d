// SPDX-License-Identifier: Apache-2.0
// The two pretraining heads.
#pragma once

#include <string>

#include "core/layers/linear.h"
#include "core/layers/norm.h"
#include "core/layers/params.h"
#include "core/layers/step.h"

namespace funnel {

//     logits = norm(gelu(x W + b)) E^T + vocab_bias
// at selected positions, with E the input embedding table. The logits of a few rows exist at a
// time: predict() makes them, takes loss, draws and gradients from them, and drops them.
class MlmHead {
 public:
  struct Saved {
    ConstTensor rows;     // [n] i32, which rows of the hidden states were selected
    Linear::Saved dense;  // [n, width], the selected rows
    Tensor pre;           // [n, embedding_width], before gelu
    Norm::Saved norm;     // [n, embedding_width], after gelu
    Tensor normed;        // [n, embedding_width]
    Tensor dnormed;       // [n, embedding_width], if there is a backward
  };

  MlmHead(Params& params, const std::string& path, int64_t width, const Param& table,
          double epsilon);

  struct Prediction {
    ConstTensor targets;       // [n] i32, or kNoTarget
    double factor = 1.0;       // d total / d row loss
    Tensor loss, correct;      // [n] and [n] u8, overwritten: see core/ops/vocabulary_loss.h
    Tensor samples = {};       // [n] i32, overwritten with draws; null: none
    RandomStream stream = {};  // of the draws
    int64_t first_row = 0;
  };

  // Everything before the logits, from hidden [all rows, width] at rows [n].
  void forward(Step& step, ConstTensor hidden, ConstTensor rows, Saved& saved) const;
  // The rest of forward, and the beginning of a backward pass to come: the gradients of table and
  // vocab_bias are accumulated here.
  void predict(Step& step, const Prediction& args, Saved& saved) const;
  // The rest of backward. dhidden [all rows, width] is overwritten (zero at rows that were not
  // selected).
  void backward(Step& step, const Saved& saved, Tensor dhidden) const;

  // Of how many rows there are logits at a time: a function of its arguments alone, because table's
  // gradient is added in this order.
  static int64_t rows_at_once(int64_t vocab, DType dtype);

 private:
  const Param& table_;
  Linear dense_;
  Norm norm_;
  Param& vocab_bias_;
};

//     z = gelu(x W + b) . w + c
// and its loss, which is taken, and sent back as far as gelu's input, while a row is at hand.
class DiscriminatorHead {
 public:
  struct Saved {
    Linear::Saved dense;  // [rows, width], the caller's
    Tensor pre;           // [rows, width], before gelu; its gradient if there is a backward
    Tensor logits;        // [rows], f32 for bf16
  };

  DiscriminatorHead(Params& params, const std::string& path, int64_t width);

  struct Judgement {
    ConstTensor labels, hidden;  // [rows] u8: see core/ops/discriminator_loss.h
    double factor = 1.0;         // d total / d row loss
    Tensor loss, correct;        // [rows] and [rows] u8, overwritten
  };

  // The loss of x [rows, width], and the beginning of a backward pass to come: the gradients of w,
  // c and b are accumulated here.
  void forward(Step& step, ConstTensor x, const Judgement& args, Saved& saved) const;
  // The rest of backward: dx [rows, width].
  void backward(Step& step, const Saved& saved, Tensor dx) const;

 private:
  Linear dense_;
  Param& weight_;
  Param& bias_;
};

}  // namespace funnel
