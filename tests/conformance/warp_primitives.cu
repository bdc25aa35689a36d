// SPDX-License-Identifier: Apache-2.0
// Primitives of a whole warp: shuffles, reductions by butterfly, ldmatrix, mma, cp.async.
#include <cuda_runtime.h>

#include "tests/conformance/device_array.h"
#include "tests/conformance/inputs.h"

namespace funnel::conformance {
namespace {

constexpr unsigned kAll = 0xffffffffu;

// Ten results of every lane: xor by 1 to 16, down and up by 3, broadcast, idx, an f64 by 8.
__global__ void shuffles(uint32_t* out) {
  const unsigned lane = threadIdx.x, mine = 1000 + 7 * lane;
  for (int i = 0; i < 5; ++i) out[32 * i + lane] = __shfl_xor_sync(kAll, mine, 1 << i);
  out[32 * 5 + lane] = __shfl_down_sync(kAll, mine, 3);
  out[32 * 6 + lane] = __shfl_up_sync(kAll, mine, 3);
  out[32 * 7 + lane] = __shfl_sync(kAll, mine, 5);
  out[32 * 8 + lane] = __shfl_sync(kAll, mine, static_cast<int>(lane * 11 % 32));
  const double far = __shfl_xor_sync(kAll, 0.1 + lane, 8);
  out[32 * 9 + lane] = static_cast<uint32_t>(__double2loint(far));
}

template <class T>
__global__ void butterfly(const float* in, T* out) {
  T sum = in[threadIdx.x], most = in[threadIdx.x];
  for (int by = 16; by > 0; by /= 2) {
    sum += __shfl_xor_sync(kAll, sum, by);
    const T other = __shfl_xor_sync(kAll, most, by);
    most = other > most ? other : most;
  }
  out[threadIdx.x] = sum;
  out[32 + threadIdx.x] = most;
}

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

template <bool Transposed>
__device__ void load_four(unsigned (&r)[4], const void* row) {
  if (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

// b as stored by rows [16][8] becomes the fragment of a matrix by columns.
__device__ void load_two_transposed(unsigned (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row)));
}

__device__ void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four matrices of 8 x 8 numbers that say where they lie.
template <bool Transposed>
__global__ void matrices(uint32_t* out) {
  __shared__ alignas(16) uint16_t rows[32][8];
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 8; ++i) rows[lane][i] = static_cast<uint16_t>(8 * lane + i);
  __syncwarp();
  unsigned r[4];
  load_four<Transposed>(r, rows[lane]);
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
  const unsigned a[4] = {pair_of(&tile.a[row][k]), pair_of(&tile.a[row + 8][k]),
                         pair_of(&tile.a[row][k + 8]), pair_of(&tile.a[row + 8][k + 8])};
  const unsigned b[2] = {pair_of(&tile.b[row][k]), pair_of(&tile.b[row][k + 8])};
  float c[4];
  load_sums(c, tile);
  multiply(c, a, b);
  store_sums(c, out + 128 * blockIdx.x);
}

// The way of the engine's kernels: through shared memory and ldmatrix, B stored [16][8].
__global__ void product_by_ldmatrix(const MmaTile* tile, float* out) {
  __shared__ alignas(16) uint16_t a[16][16], b[16][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) a[i / 16][i % 16] = tile->a[i / 16][i % 16];
  for (int i = lane; i < 128; i += 32) b[i / 8][i % 8] = tile->b[i % 8][i / 8];
  __syncwarp();
  unsigned fa[4], fb[2];
  load_four<false>(fa, &a[lane % 16][lane / 16 * 8]);
  load_two_transposed(fb, b[lane % 16]);
  float c[4];
  load_sums(c, *tile);
  multiply(c, fa, fb);
  store_sums(c, out);
}

// Copies of 16 bytes of which 0, 4, 8 or 16 are read, in two groups, each read when it is there.
__global__ void copies(const uint32_t* in, uint32_t* out) {
  __shared__ alignas(16) uint32_t first[32][4], later[32][4];
  const unsigned lane = threadIdx.x, bytes = lane % 4 == 0 ? 0 : 2u << (lane % 4);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(first[lane])),
               "l"(in + 4 * lane), "r"(bytes)
               : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(later[lane])),
               "l"(in + 128 + 4 * lane)
               : "memory");
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 1;" ::: "memory");
  for (int i = 0; i < 4; ++i) out[4 * lane + i] = first[lane][i];
  asm volatile("cp.async.wait_group 0;" ::: "memory");
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
  const DeviceArray<uint32_t> shuffled(320), plain(128), transposed(128);
  shuffles<<<1, 32>>>(shuffled.data());
  all.push_back(shuffled.section("shuffles", Format::bits32));
  all.push_back(run_butterfly<float>("butterfly f32", Format::f32));
  all.push_back(run_butterfly<double>("butterfly f64", Format::f64));
  matrices<false><<<1, 32>>>(plain.data());
  all.push_back(plain.section("ldmatrix", Format::bits32));
  matrices<true><<<1, 32>>>(transposed.data());
  all.push_back(transposed.section("ldmatrix.trans", Format::bits32));
  all.push_back(run_copies());
  all.push_back(run_products("mma integers", {integer_tile(8)}));
  all.push_back(run_product_by_ldmatrix());
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
