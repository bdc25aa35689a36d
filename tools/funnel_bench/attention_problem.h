// SPDX-License-Identifier: Apache-2.0
// Attention on random operands: its inputs, its outputs, and the two calls.
#pragma once

#include <vector>

#include "core/ops/relative_attention.h"
#include "tools/funnel_bench/random_pool.h"

namespace funnel {

struct AttentionSizes {
  int64_t batch = 0, queries = 0, keys = 0, shift = 1, heads = 0, head_width = 0;
  double dropout = 0;
  bool segments = true;
  int64_t positions() const { return shift * queries + keys; }
};

// The engine's choice, or the oracle of the device's kernels.
enum class AttentionPath { chosen, materialised };

class AttentionProblem {
 public:
  // CLS first, two segments, no padding. f32 or bf16.
  AttentionProblem(Context& context, const AttentionSizes& sizes, DType dtype);

  // The paths that differ on this device for this dtype.
  static std::vector<AttentionPath> paths(const Context& context, DType dtype);

  // Makes this problem's operands, in f32 on the CPU, those of another of the same sizes.
  void read_operands_of(const AttentionProblem& other);

  void poison_outputs();
  // Outputs that gradients accumulate in are zeroed first.
  void forward(AttentionPath path);
  void backward(AttentionPath path);  // after forward

  // Of forward: context, normaliser. Of backward: all gradients.
  std::vector<std::vector<double>> outputs(bool backward) const;
  uint64_t digest(bool backward) const;
  bool has_nan(bool backward) const;
  double bytes(bool backward) const;  // of operands and outputs

 private:
  std::vector<Tensor> operands() const;
  std::vector<Tensor> output_tensors(bool backward) const;
  AttentionInputs inputs() const;

  Context& context_;
  AttentionSizes sizes_;
  DType dtype_;
  RandomPool pool_;
  Arena memory_;
  Tensor q_, k_, v_, r_, dcontext_, content_bias_, position_bias_, segment_bias_, embedding_;
  Tensor q_segments_, k_segments_;
  Tensor attended_, log_normaliser_, dq_, dk_, dv_, dr_;
  Tensor dcontent_bias_, dposition_bias_, dsegment_bias_, dembedding_;
};

}  // namespace funnel
