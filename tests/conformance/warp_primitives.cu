// SPDX-License-Identifier: Apache-2.0
// Primitives of a whole warp or block, by the wrappers that the kernels use: shuffles, sums and
// maxima over lanes, ldmatrix, mma, cp.async, a vote of a block.
#include <cuda_runtime.h>

#include "core/backend/cuda/launch.cuh"
#include "core/ops/fused_attention/tiles.cuh"
#include "tests/conformance/device_array.h"
#include "tests/conformance/inputs.h"

namespace funnel::conformance {
namespace {

constexpr unsigned kAll = 0xffffffffu;

// Eight results of every lane: xor by 1 to 16, broadcast, idx, an f64 by 8.
__global__ void shuffles(uint32_t* out) {
  const unsigned lane = threadIdx.x, mine = 1000 + 7 * lane;
  for (int i = 0; i < 5; ++i) out[32 * i + lane] = __shfl_xor_sync(kAll, mine, 1 << i);
  out[32 * 5 + lane] = __shfl_sync(kAll, mine, 5);
  out[32 * 6 + lane] = __shfl_sync(kAll, mine, static_cast<int>(lane * 11 % 32));
  const double far = __shfl_xor_sync(kAll, 0.1 + lane, 8);
  out[32 * 7 + lane] = static_cast<uint32_t>(__double2loint(far));
}

template <class T>
__global__ void butterfly(const float* in, T* out) {
  const T mine = in[threadIdx.x];
  out[threadIdx.x] = cuda::join_lanes(mine, cuda::Add());
  out[32 + threadIdx.x] = cuda::join_lanes(mine, cuda::Larger());
}

__global__ void quads(const float* in, float* out) {
  out[threadIdx.x] = fused::sum_of_quad(in[threadIdx.x]);
  out[32 + threadIdx.x] = fused::max_of_quad(in[threadIdx.x]);
}

// Whether one thread of 96 says yes, by the number of that thread; beyond them, nobody does.
__global__ void votes(uint32_t* out) {
  for (int i = 0; i < 128; ++i) {
    const int any = __syncthreads_or(static_cast<int>(threadIdx.x) == i);
    if (threadIdx.x == 0) out[i] = any != 0 ? 1 : 0;
  }
}

// Four matrices of 8 x 8 numbers that say where they lie.
template <bool Transposed>
__global__ void matrices(uint32_t* out) {
  __shared__ alignas(16) uint16_t rows[32][8];
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 8; ++i) rows[lane][i] = static_cast<uint16_t>(8 * lane + i);
  __syncwarp();
  uint32_t r[4];
  if (Transposed)
    ptx::load_transposed(r, ptx::shared_address(rows[lane]));
  else
    ptx::load_matrices(r, ptx::shared_address(rows[lane]));
  for (int i = 0; i < 4; ++i) out[32 * i + lane] = r[i];
}

__device__ unsigned pair_of(const uint16_t* two) {
  return uint32_t{two[1]} << 16 | two[0];
}

__device__ void load_sums(float (&c)[4], const MmaTile& tile) {
  const int row = threadIdx.x / 4, column = 2 * (threadIdx.x % 4);
  for (int i = 0; i < 4; ++i) c[i] = tile.c[row + 8 * (i / 2)][column + i % 2];
}
__device__ void store_sums(const float (&c)[4], float* out) {
  const int row = threadIdx.x / 4, column = 2 * (threadIdx.x % 4);
  for (int i = 0; i < 4; ++i) out[8 * (row + 8 * (i / 2)) + column + i % 2] = c[i];
}

// A tile a block; fragments are gathered element by element.
__global__ void products(const MmaTile* tiles, float* out) {
  const MmaTile& tile = tiles[blockIdx.x];
  const int row = threadIdx.x / 4, k = 2 * (threadIdx.x % 4);
  const uint32_t a[4] = {pair_of(&tile.a[row][k]), pair_of(&tile.a[row + 8][k]),
                         pair_of(&tile.a[row][k + 8]), pair_of(&tile.a[row + 8][k + 8])};
  float c[4];
  load_sums(c, tile);
  ptx::multiply_add(c, a, pair_of(&tile.b[row][k]), pair_of(&tile.b[row][k + 8]));
  store_sums(c, out + 128 * blockIdx.x);
}

// The same of the first 8 columns of A, with the smaller instruction.
__global__ void small_product(const MmaTile* tile, float* out) {
  const int row = threadIdx.x / 4, k = 2 * (threadIdx.x % 4);
  const uint32_t a[2] = {pair_of(&tile->a[row][k]), pair_of(&tile->a[row + 8][k])};
  float c[4];
  load_sums(c, *tile);
  ptx::multiply_add(c, a, pair_of(&tile->b[row][k]));
  store_sums(c, out);
}

// The way of the engine's kernels: through shared memory and ldmatrix, B stored [16][8].
__global__ void product_by_ldmatrix(const MmaTile* tile, float* out) {
  __shared__ alignas(16) uint16_t a[16][16], b[16][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) a[i / 16][i % 16] = tile->a[i / 16][i % 16];
  for (int i = lane; i < 128; i += 32) b[i / 8][i % 8] = tile->b[i % 8][i / 8];
  __syncwarp();
  uint32_t fa[4], fb[4];  // of fb the second half repeats the first
  ptx::load_matrices(fa, ptx::shared_address(&a[lane % 16][lane / 16 * 8]));
  ptx::load_transposed(fb, ptx::shared_address(b[lane % 16]));
  float c[4];
  load_sums(c, *tile);
  ptx::multiply_add(c, fa, fb[0], fb[1]);
  store_sums(c, out);
}

// Copies of 16 bytes, or zeros in the place of every third lane's and later of every other lane's.
__global__ void copies(const uint32_t* in, uint32_t* out) {
  __shared__ alignas(16) uint32_t first[32][4], later[32][4];
  const unsigned lane = threadIdx.x;
  ptx::copy_async(ptx::shared_address(first[lane]), in + 4 * lane, lane % 3 != 0);
  ptx::commit_copies();
  ptx::copy_async(ptx::shared_address(later[lane]), in + 128 + 4 * lane, lane % 2 == 0);
  ptx::commit_copies();
  ptx::wait_for_copies();
  for (int i = 0; i < 4; ++i) out[4 * lane + i] = first[lane][i];
  for (int i = 0; i < 4; ++i) out[128 + 4 * lane + i] = later[lane][i];
}

Section run_products(const std::string& name, const std::vector<MmaTile>& tiles) {
  const DeviceArray<MmaTile> in(tiles);
  const DeviceArray<float> out(128 * tiles.size());
  products<<<static_cast<unsigned>(tiles.size()), 32>>>(in.data(), out.data());
  return out.section(name, Format::f32);
}

template <class T>
Section run_butterfly(const std::string& name, Format format) {
  const DeviceArray<float> in(floats_between(-1, 1, 6));
  const DeviceArray<T> out(64);
  butterfly<<<1, 32>>>(in.data(), out.data());
  return out.section(name, format);
}

Section run_quads() {
  const DeviceArray<float> in(floats_between(-1, 1, 6)), out(64);
  quads<<<1, 32>>>(in.data(), out.data());
  return out.section("sums and maxima of quads", Format::f32);
}

Section run_small_product() {
  const DeviceArray<MmaTile> in(std::vector<MmaTile>{integer_tile(14)});
  const DeviceArray<float> out(128);
  small_product<<<1, 32>>>(in.data(), out.data());
  return out.section("mma k8 integers", Format::f32);
}

Section run_copies() {
  std::vector<uint32_t> words;
  for (int i = 0; i < 256; ++i) words.push_back(static_cast<uint32_t>(draw(7, i)));
  const DeviceArray<uint32_t> in(words), out(256);
  copies<<<1, 32>>>(in.data(), out.data());
  return out.section("cp.async", Format::bits32);
}

Section run_product_by_ldmatrix() {
  const DeviceArray<MmaTile> in(std::vector<MmaTile>{integer_tile(9)});
  const DeviceArray<float> out(128);
  product_by_ldmatrix<<<1, 32>>>(in.data(), out.data());
  return out.section("mma integers by ldmatrix", Format::f32);
}

}  // namespace

std::vector<Section> run_warp_primitives() {
  std::vector<Section> all;
  const DeviceArray<uint32_t> shuffled(256), plain(128), transposed(128), voted(128);
  shuffles<<<1, 32>>>(shuffled.data());
  all.push_back(shuffled.section("shuffles", Format::bits32));
  all.push_back(run_butterfly<float>("butterfly f32", Format::f32));
  all.push_back(run_butterfly<double>("butterfly f64", Format::f64));
  all.push_back(run_quads());
  votes<<<1, 96>>>(voted.data());
  all.push_back(voted.section("votes of a block", Format::bits32));
  matrices<false><<<1, 32>>>(plain.data());
  all.push_back(plain.section("ldmatrix", Format::bits32));
  matrices<true><<<1, 32>>>(transposed.data());
  all.push_back(transposed.section("ldmatrix.trans", Format::bits32));
  all.push_back(run_copies());
  all.push_back(run_products("mma integers", {integer_tile(8)}));
  all.push_back(run_product_by_ldmatrix());
  all.push_back(run_small_product());
  all.push_back(run_products("mma specials", {special_tile()}));
  std::vector<MmaTile> spread;
  for (int i = 0; i < kSpreadTiles; ++i) spread.push_back(spread_tile(10 + i));
  all.push_back(run_products("mma sums", spread));
  return all;
}

std::vector<Section> run_primitives() {
  std::vector<Section> all = run_arithmetic();
  for (Section& section : run_warp_primitives()) all.push_back(std::move(section));
  return all;
}

}  // namespace funnel::conformance
