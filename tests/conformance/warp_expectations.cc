// SPDX-License-Identifier: Apache-2.0
// Expectations of the primitives of a whole warp.
#include <algorithm>
#include <cmath>

#include "tests/conformance/expectations.h"
#include "tests/conformance/inputs.h"

namespace funnel::conformance {
namespace {

Expectation exact(std::vector<uint64_t> bits) {
  return {.bits = std::move(bits), .values = {}, .errors = {}, .allowed = "exact"};
}

Expectation shuffled() {
  std::vector<uint64_t> bits;
  const auto lanes = [&](auto from) {
    for (int lane = 0; lane < 32; ++lane) {
      bits.push_back(1000 + 7 * static_cast<uint64_t>(from(lane)));
    }
  };
  for (int i = 0; i < 5; ++i) lanes([&](int lane) { return lane ^ (1 << i); });
  lanes([](int) { return 5; });
  lanes([](int lane) { return lane * 11 % 32; });
  for (int lane = 0; lane < 32; ++lane) {
    bits.push_back(std::bit_cast<uint64_t>(0.1 + (lane ^ 8)) & 0xffffffffu);
  }
  return exact(bits);
}

// Every lane adds what its partner holds, so all end with the sum of one tree.
template <class T, class Bits>
Expectation butterfly() {
  const std::vector<float> in = floats_between(-1, 1, 6);
  std::vector<T> sums(in.begin(), in.begin() + 32);
  for (int by = 16; by > 0; by /= 2) {
    std::vector<T> next;
    for (int lane = 0; lane < 32; ++lane) next.push_back(sums[lane] + sums[lane ^ by]);
    sums = next;
  }
  sums.resize(64, *std::max_element(in.begin(), in.begin() + 32));
  std::vector<uint64_t> bits;
  for (const T sum : sums) bits.push_back(std::bit_cast<Bits>(sum));
  return exact(bits);
}

// Register m of lane 4 i + j holds elements 2 j and 2 j + 1 of row i of matrix m, of its columns
// if transposed; element (row, column) of matrix m was 64 m + 8 row + column.
Expectation matrices(bool transposed) {
  std::vector<uint64_t> bits;
  for (int m = 0; m < 4; ++m) {
    for (int lane = 0; lane < 32; ++lane) {
      const int i = lane / 4, j = 2 * (lane % 4);
      const int low = transposed ? 8 * j + i : 8 * i + j;
      const int high = transposed ? 8 * (j + 1) + i : 8 * i + j + 1;
      bits.push_back(static_cast<uint64_t>(64 * m + high) << 16 |
                     static_cast<uint64_t>(64 * m + low));
    }
  }
  return exact(bits);
}

// The four lanes of a quad agree; two neighbours are added first.
Expectation quads() {
  const std::vector<float> in = floats_between(-1, 1, 6);
  std::vector<uint64_t> sums, maxima;
  for (int lane = 0; lane < 32; ++lane) {
    const float* quad = &in[static_cast<size_t>(lane / 4 * 4)];
    sums.push_back(std::bit_cast<uint32_t>((quad[0] + quad[1]) + (quad[2] + quad[3])));
    maxima.push_back(std::bit_cast<uint32_t>(*std::max_element(quad, quad + 4)));
  }
  sums.insert(sums.end(), maxima.begin(), maxima.end());
  return exact(sums);
}

Expectation votes() {
  std::vector<uint64_t> bits(96, 1);
  bits.resize(128, 0);
  return exact(bits);
}

Expectation copies() {
  std::vector<uint64_t> bits;
  for (int i = 0; i < 256; ++i) {
    const int lane = i / 4 % 32;
    const bool read = i < 128 ? lane % 3 != 0 : lane % 2 == 0;
    bits.push_back(read ? static_cast<uint32_t>(draw(7, i)) : 0);
  }
  return exact(bits);
}

Expectation product_of_integers(const MmaTile& tile, int depth = 16) {
  std::vector<uint64_t> bits;
  for (int i = 0; i < 128; ++i) {
    double sum = tile.c[i / 8][i % 8];
    for (int k = 0; k < depth; ++k) {
      sum += double{from_bf16(tile.a[i / 8][k])} * from_bf16(tile.b[i % 8][k]);
    }
    bits.push_back(std::bit_cast<uint32_t>(static_cast<float>(sum)));
  }
  return exact(bits);
}

// Any way to add stays within 2^-18 of the sum of sizes: 17 terms, each cut off below 2^-23 of the
// largest, summed in two or four goes.
Expectation sums() {
  Expectation out{.bits = {}, .values = {}, .errors = {}, .allowed = "2^-18 of the terms"};
  for (int tile = 0; tile < kSpreadTiles; ++tile) {
    const MmaTile t = spread_tile(10 + tile);
    for (int i = 0; i < 128; ++i) {
      double sum = t.c[i / 8][i % 8], size = std::fabs(sum);
      for (int k = 0; k < 16; ++k) {
        const double term = double{from_bf16(t.a[i / 8][k])} * from_bf16(t.b[i % 8][k]);
        sum += term;
        size += std::fabs(term);
      }
      out.values.push_back(sum);
      out.errors.push_back(size * 0x1p-18);
    }
  }
  return out;
}

}  // namespace

std::map<std::string, Expectation> warp_expectations() {
  return {{"shuffles", shuffled()},
          {"butterfly f32", butterfly<float, uint32_t>()},
          {"butterfly f64", butterfly<double, uint64_t>()},
          {"ldmatrix", matrices(false)},
          {"ldmatrix.trans", matrices(true)},
          {"cp.async", copies()},
          {"mma integers", product_of_integers(integer_tile(8))},
          {"mma integers by ldmatrix", product_of_integers(integer_tile(9))},
          {"mma k8 integers", product_of_integers(integer_tile(14), 8)},
          {"sums and maxima of quads", quads()},
          {"votes of a block", votes()},
          {"mma specials", product_of_integers(special_tile())},
          {"mma sums", sums()}};
}

}  // namespace funnel::conformance
