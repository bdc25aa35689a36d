// SPDX-License-Identifier: Apache-2.0
// One warp that uses memory in a known way: what its statistics must be can be counted by hand.
#pragma once

#include <cstdint>

namespace funnel::cudacpu::selftest {

// Lane l copies the T at from[offset + stride * l] to to[offset + stride * l]; T has `bytes` bytes:
// 2, 4, 8 or 16.
void launch_global_copy(const void* from, void* to, int bytes, int offset, int stride);
// Lane l writes and reads back the T at byte pitch * l of shared memory.
void launch_shared_access(int bytes, int pitch);
// ldmatrix of four 8x8 matrices whose rows lie `pitch` bytes apart.
void launch_matrix_rows(int pitch);
// cp.async of 16 bytes a lane, side by side, then a wait.
void launch_async_copy(const void* from, void* to);
// y[l] = x[l] * x[l] + x[l], fused, `times` over.
void launch_fused(float* x, int times);

}  // namespace funnel::cudacpu::selftest
