// SPDX-License-Identifier: Apache-2.0
// The fused kernels of a build without CUDA: none.
#include "core/ops/attention_paths.h"

namespace funnel {

bool fused_attention_takes(Device, DType, int64_t, const AttentionExtents&) {
  return false;
}
int64_t fused_scratch_bytes(int64_t, const AttentionExtents&) {
  throw Error("this build has no CUDA backend");
}
void attention_forward_fused(Context&, const RelativeAttentionForward&, const AttentionExtents&) {
  throw Error("this build has no CUDA backend");
}
void attention_backward_fused(Context&, const RelativeAttentionBackward&, const AttentionExtents&) {
  throw Error("this build has no CUDA backend");
}

}  // namespace funnel
