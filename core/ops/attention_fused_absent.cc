// SPDX-License-Identifier: Apache-2.0
// The fused kernels of a build without CUDA: none.
#include "core/ops/attention_paths.h"

namespace funnel {

bool fused_attention_takes(const AttentionInputs&, const AttentionExtents&) {
  return false;
}
void attention_forward_fused(Context&, const RelativeAttentionForward&, const AttentionExtents&) {
  throw Error("this build has no CUDA backend");
}
void attention_backward_fused(Context&, const RelativeAttentionBackward&, const AttentionExtents&) {
  throw Error("this build has no CUDA backend");
}

}  // namespace funnel
