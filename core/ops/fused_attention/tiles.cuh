// SPDX-License-Identifier: Apache-2.0
// Tiles of 64 rows of bf16 in shared memory, and the fragments that mma.sync m16n8k16 takes from
// them. Lane l = 4 g + q of a warp holds, of a 16 x 8 result, columns 2q and 2q + 1 of rows g and
// g + 8. Rows are cut into pieces of 16 bytes whose places are permuted by row, so that the eight
// rows of an 8 x 8 matrix lie in different banks.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "core/base/bfloat16.h"
#include "core/base/ptx.cuh"
#include "core/ops/fused_attention/problem.h"

namespace funnel::fused {

inline constexpr int kThreads = 32 * kWarps;
inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline int lane_of() {
  return threadIdx.x % 32;
}
__device__ inline int warp_of() {
  return threadIdx.x / 32;
}

__device__ inline uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline float low_of(uint32_t pair) {
  return __uint_as_float(pair << 16);
}
__device__ inline float high_of(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

__device__ inline uint32_t load_pair(const BFloat16* from) {
  return *reinterpret_cast<const uint32_t*>(from);
}

// The sum over the four lanes that share a row.
__device__ inline float sum_of_quad(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}
__device__ inline float max_of_quad(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}

// A 16 x kWidth left operand in registers.
template <int kWidth>
struct Rows {
  uint32_t step[kWidth / 16][4];
};

// 64 rows of kWidth columns; tiles begin at multiples of 128 bytes.
template <int kWidth>
struct Tile {
  static constexpr int kPieces = kWidth / 8;
  static constexpr int kBytes = kTile * kWidth * 2;
  static constexpr int kRowBytes = kWidth * 2;
  static_assert(kWidth == 64 || kWidth == 32);

  // Byte of piece `piece` of row `row`. Bit by bit in the piece: place(row, a ^ b) is
  // place(row, a) ^ b << 4.
  __device__ static uint32_t place(int row, int piece) {
    const int turn = kWidth == 64 ? row & 7 : (row >> 1) & 3;
    return static_cast<uint32_t>(row * kRowBytes + ((piece ^ turn) << 4));
  }

  // Copies rows [first, first + 64) of a matrix of `rows` rows; those outside become zeros.
  __device__ static void copy(uint32_t to, const BFloat16* from, int64_t row_stride, int first,
                              int rows) {
    constexpr int kStep = kThreads / kPieces;  // rows; a multiple of 8, so that places move alike
    const int row = static_cast<int>(threadIdx.x) / kPieces;
    const int piece = static_cast<int>(threadIdx.x) % kPieces;
    const BFloat16* source = from + (first + row) * row_stride + piece * 8;
    const uint32_t target = to + place(row, piece);
#pragma unroll
    for (int i = 0; i < kTile / kStep; ++i) {
      const bool there =
          static_cast<unsigned>(first + row + i * kStep) < static_cast<unsigned>(rows);
      ptx::copy_async(target + i * kStep * kRowBytes, there ? source : from, there);
      source += kStep * row_stride;
    }
  }

  // Rows [row, row + 16) as a left operand.
  __device__ static void load_rows(Rows<kWidth>& a, uint32_t tile, int row) {
    const int lane = lane_of();
    const uint32_t at = tile + place(row + (lane & 15), lane >> 4);
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
      ptx::load_matrices(a.step[step], at ^ (step << 5));
    }
  }

  // Writes a left operand's elements back to rows [row, row + 16).
  __device__ static void store_rows(const Rows<kWidth>& a, unsigned char* tile, int row) {
    const int g = lane_of() / 4, q = lane_of() % 4;
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t at = place(row + g + 8 * (i & 1), 2 * step + (i >> 1)) + 4 * q;
        *reinterpret_cast<uint32_t*>(tile + at) = a.step[step][i];
      }
    }
  }

  // The right operand whose columns are rows [row, row + 16): b[0..1] of the first 8, b[2..3] of
  // the others, for step `step` over the width.
  __device__ static void load_columns(uint32_t (&b)[4], uint32_t tile, int row, int step) {
    const int lane = lane_of();
    const int at = row + (lane & 7) + ((lane >> 4) << 3);
    ptx::load_matrices(b, (tile + place(at, (lane >> 3) & 1)) ^ (step << 5));
  }

  // The right operand whose rows are rows [row, row + 16) and whose columns are pieces `piece`, an
  // even one, (b[0..1]) and `piece + 1` (b[2..3]).
  __device__ static void load_across(uint32_t (&b)[4], uint32_t tile, int row, int piece) {
    const int lane = lane_of();
    ptx::load_transposed(b, (tile + place(row + (lane & 15), lane >> 4)) ^ (piece << 4));
  }

  // The left operand that is the transpose of rows [row, row + 16), columns of pieces `piece`, an
  // even one, and `piece + 1`.
  __device__ static void load_rows_across(uint32_t (&a)[4], uint32_t tile, int row, int piece) {
    const int lane = lane_of();
    const int at = row + (lane & 7) + ((lane >> 4) << 3);
    ptx::load_transposed(a, (tile + place(at, (lane >> 3) & 1)) ^ (piece << 4));
  }
};

// sum [16, 8 columns each] += a [16, kWidth] (64 rows of the tile)^T.
template <int kWidth>
__device__ inline void add_products(float (&sum)[8][4], const Rows<kWidth>& a, uint32_t tile) {
#pragma unroll
  for (int pair = 0; pair < 4; ++pair) {
#pragma unroll
    for (int step = 0; step < kWidth / 16; ++step) {
      uint32_t b[4];
      Tile<kWidth>::load_columns(b, tile, 16 * pair, step);
      ptx::multiply_add(sum[2 * pair], a.step[step], b[0], b[1]);
      ptx::multiply_add(sum[2 * pair + 1], a.step[step], b[2], b[3]);
    }
  }
}

// sum [16, kWidth] += a [16, 16] (rows [row, row + 16) of the tile).
template <int kWidth>
__device__ inline void add_weighted_rows(float (&sum)[kWidth / 8][4], const uint32_t (&a)[4],
                                         uint32_t tile, int row) {
#pragma unroll
  for (int piece = 0; piece < kWidth / 8; piece += 2) {
    uint32_t b[4];
    Tile<kWidth>::load_across(b, tile, row, piece);
    ptx::multiply_add(sum[piece], a, b[0], b[1]);
    ptx::multiply_add(sum[piece + 1], a, b[2], b[3]);
  }
}

// Two results side by side, 16 x 8 each, as a left operand 16 x 16.
__device__ inline void to_operand(uint32_t (&a)[4], const float (&left)[4],
                                  const float (&right)[4]) {
  a[0] = pack(left[0], left[1]);
  a[1] = pack(left[2], left[3]);
  a[2] = pack(right[0], right[1]);
  a[3] = pack(right[2], right[3]);
}

// Writes 16 rows of f32 results as bf16 to rows [first, first + 16) of a matrix of `rows` rows, by
// way of rows [row, row + 16) of a tile that only this warp uses.
template <int kWidth>
__device__ inline void write_rows(const float (&x)[kWidth / 8][4], unsigned char* tile, int row,
                                  BFloat16* to, int64_t row_stride, int first, int rows) {
  Rows<kWidth> packed;
#pragma unroll
  for (int step = 0; step < kWidth / 16; ++step) {
    to_operand(packed.step[step], x[2 * step], x[2 * step + 1]);
  }
  __syncwarp();
  Tile<kWidth>::store_rows(packed, tile, row);
  __syncwarp();
  constexpr int kPieces = Tile<kWidth>::kPieces;
#pragma unroll
  for (int i = 0; i < 16 * kPieces / 32; ++i) {
    const int n = i * 32 + lane_of();
    const int at = n / kPieces, piece = n % kPieces;
    if (first + at < rows) {
      *reinterpret_cast<uint4*>(to + (first + at) * row_stride + piece * 8) =
          *reinterpret_cast<const uint4*>(tile + Tile<kWidth>::place(row + at, piece));
    }
  }
}

}  // namespace funnel::fused
