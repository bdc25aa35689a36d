// SPDX-License-Identifier: Apache-2.0
// mma.sync on f16 and bf16, ldmatrix and stmatrix. Fragments lie as the PTX manual's figures say:
// lane = 4 * group + member; a register holds two neighbouring elements of a row of A, or of a
// column of B.
#include <algorithm>
#include <array>
#include <bit>

#include "tests/cudacpu/arithmetic.h"
#include "tests/cudacpu/collective.h"
#include "tests/cudacpu/formats.h"
#include "tests/cudacpu/memory_access.h"
#include "tests/cudacpu/options.h"

namespace funnel::cudacpu {
namespace {

constexpr int kRows = 16, kColumns = 8;

// How a device sums is not documented; kernels must be right whichever way it does.
enum class Sums : uint8_t { rounded, ordered, truncated };

Sums sums_from_option() {
  const std::string& text = option("mma");
  if (text == "rounded") return Sums::rounded;
  if (text == "ordered") return Sums::ordered;
  if (text == "truncated") return Sums::truncated;
  throw Fault(FaultKind::launch,
              "FUNNEL_CUDACPU: expected mma=rounded, ordered or truncated, found " + text);
}

// Products and the addend are shifted to the largest exponent, cut off there, and added: what Fasi
// et al. (PeerJ CS 7:e330, 2021) found on devices.
float sum_truncated(const std::array<double, 9>& terms) {
  uint64_t most = 0;  // the largest term's bits without its sign; products of floats are normal
  for (const double term : terms) {
    most = std::max(most, std::bit_cast<uint64_t>(term) & ~(uint64_t{1} << 63));
  }
  if (most == 0) return 0;
  double sum = 0;
  if (most >= uint64_t{0x7FF} << 52) {
    for (const double term : terms) sum += term;
    return static_cast<float>(sum);
  }
  const uint64_t exponent = most >> 52;
  const auto unit = std::bit_cast<double>((exponent - 24) << 52);
  const auto units = std::bit_cast<double>((2 * 1023 + 24 - exponent) << 52);
  for (const double term : terms) sum += std::trunc(term * units);
  return round_to_f32<Rounding::zero>({sum * unit, 0});
}

struct Tiles {
  float a[kRows][16], b[kColumns][16], c[kRows][kColumns];  // b by columns
  float d[kRows][kColumns];
};

void multiply_rounded(Tiles& t, int depth) {
  double b[16][kColumns];
  for (int k = 0; k < depth; ++k) {
    for (int column = 0; column < kColumns; ++column) b[k][column] = t.b[column][k];
  }
  for (int row = 0; row < kRows; ++row) {
    double sum[kColumns] = {};
    for (int k = 0; k < depth; ++k) {
      const double a = t.a[row][k];
      for (int column = 0; column < kColumns; ++column) sum[column] += a * b[k][column];
    }
    for (int column = 0; column < kColumns; ++column) {
      t.d[row][column] = static_cast<float>(sum[column] + t.c[row][column]);
    }
  }
}

float dot_ordered(const Tiles& t, int row, int column, int depth) {
  float sum = t.c[row][column];
  for (int k = 0; k < depth; ++k) sum = std::fma(t.a[row][k], t.b[column][k], sum);
  return sum;
}

float dot_truncated(const Tiles& t, int row, int column, int depth) {
  std::array<double, 9> terms;
  float sum = t.c[row][column];
  for (int first = 0; first < depth; first += 8) {
    for (int k = 0; k < 8; ++k) {
      terms[k] = static_cast<double>(t.a[row][first + k]) * t.b[column][first + k];
    }
    terms[8] = sum;
    sum = sum_truncated(terms);
  }
  return sum;
}

void multiply(Tiles& t, int depth, Sums sums) {
  if (sums == Sums::rounded) return multiply_rounded(t, depth);
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      t.d[row][column] = sums == Sums::ordered ? dot_ordered(t, row, column, depth)
                                               : dot_truncated(t, row, column, depth);
    }
  }
}

template <class Format>
void load_pair(uint32_t word, float* to) {
  to[0] = decode16<Format>(static_cast<uint16_t>(word));
  to[1] = decode16<Format>(static_cast<uint16_t>(word >> 16));
}

// list: d, a, b, c registers; count of d and c is 4 (f32) or 2 (f16, `detail` bit 1).
template <class Format, int Depth>
void run_mma(Warp& warp, const Instruction& in, Mask mask) {
  if (mask != kAllLanes) {
    fail(warp, in, lowest_lane(mask), FaultKind::warp_mask,
         "mma needs all 32 lanes of the warp, which take part only in part");
  }
  const bool half_sums = (in.detail & 1) != 0;
  const auto sums = static_cast<Sums>(in.detail >> 1);
  const int outs = half_sums ? 2 : 4, halves = Depth / 8;
  const int32_t* d = in.list;
  const int32_t* a = d + outs;
  const int32_t* b = a + 2 * halves;
  const int32_t* c = b + halves;
  Tiles t;
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 2 * halves; ++i) {
      load_pair<Format>(warp.reg<uint32_t>(a[i])[lane],
                        &t.a[group + 8 * (i % 2)][2 * member + 8 * (i / 2)]);
    }
    for (int i = 0; i < halves; ++i) {
      load_pair<Format>(warp.reg<uint32_t>(b[i])[lane], &t.b[group][2 * member + 8 * i]);
    }
    for (int i = 0; i < 2; ++i) {
      float* to = &t.c[group + 8 * i][2 * member];
      if (half_sums) {
        load_pair<Half16>(warp.reg<uint32_t>(c[i])[lane], to);
      } else {
        to[0] = warp.reg<float>(c[2 * i])[lane];
        to[1] = warp.reg<float>(c[2 * i + 1])[lane];
      }
    }
  }
  multiply(t, Depth, sums);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 2; ++i) {
      const int row = lane / 4 + 8 * i, column = 2 * (lane % 4);
      const float low = t.d[row][column], high = t.d[row][column + 1];
      if (half_sums) {
        const auto half = [](float x) { return round16<Half16>({x, 0}, Rounding::nearest); };
        warp.reg<uint32_t>(d[i])[lane] = uint32_t{half(high)} << 16 | half(low);
      } else {
        warp.reg<float>(d[2 * i])[lane] = low;
        warp.reg<float>(d[2 * i + 1])[lane] = high;
      }
    }
  }
}

void append(std::vector<int32_t>& slots, const PtxOperand& operand, int count, bool target,
            Decoder& decoder) {
  std::vector<PtxOperand> parts = operand.parts;
  if (operand.kind != PtxOperand::Kind::vector) parts = {operand};
  if (static_cast<int>(parts.size()) != count) throw UnknownForm();
  for (const PtxOperand& one : parts) {
    slots.push_back(target ? decoder.destination(one, 32) : decoder.source(one, 32));
  }
}

void build_mma(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  const bool deep = in.has("m16n8k16");
  if (!in.has("sync") || !in.has("row") || !in.has("col") || in.parts.size() != 10 ||
      (!deep && !in.has("m16n8k8"))) {
    throw UnknownForm();
  }
  const std::string &d = in.parts[6], &a = in.parts[7], &b = in.parts[8], &c = in.parts[9];
  const bool half_sums = d == "f16";
  if (a != b || c != d || (a != "f16" && a != "bf16") || (d != "f32" && d != "f16")) {
    throw UnknownForm();
  }
  if (half_sums && a != "f16") throw UnknownForm();
  const int sums = half_sums ? 2 : 4, halves = deep ? 2 : 1;
  std::vector<int32_t> slots;
  append(slots, in.operands.at(0), sums, true, decoder);
  append(slots, in.operands.at(1), 2 * halves, false, decoder);
  append(slots, in.operands.at(2), halves, false, decoder);
  append(slots, in.operands.at(3), sums, false, decoder);
  out.list = decoder.list(slots);
  out.detail = (half_sums ? 1 : 0) | static_cast<uint32_t>(sums_from_option()) << 1;
  if (a == "bf16")
    out.run = deep ? run_mma<BFloat16, 16> : run_mma<BFloat16, 8>;
  else
    out.run = deep ? run_mma<Half16, 16> : run_mma<Half16, 8>;
}

// The requests for the rows of ldmatrix and stmatrix: lanes 0 to 8 * matrices - 1 give addresses.
template <class F>
void with_rows(Warp& warp, const Instruction& in, Mask mask, AccessKind kind, F f) {
  if (mask != kAllLanes) {
    fail(warp, in, lowest_lane(mask), FaultKind::warp_mask,
         "needs all 32 lanes of the warp, which take part only in part");
  }
  const Mask lanes = in.count == 4 ? kAllLanes : (Mask{1} << (8 * in.count)) - 1;
  with_requests(warp, in, lanes, 1, 16, [&](Request& request) {
    if (request.space != Space::shared || request.mask != lanes) {
      fail(warp, in, lowest_lane(request.mask), FaultKind::out_of_bounds,
           "the rows must lie in shared memory");
    }
    observe(warp, in, request, kind);
    f(request);
  });
}

// Element (row, column) of matrix m belongs to lane 4 * row + column / 2, or transposed.
template <bool Transposed>
void run_ldmatrix(Warp& warp, const Instruction& in, Mask mask) {
  with_rows(warp, in, mask, AccessKind::read, [&](const Request& request) {
    for (int m = 0; m < in.count; ++m) {
      uint16_t tile[8][8];
      for (int row = 0; row < 8; ++row) std::memcpy(tile[row], request.host[8 * m + row], 16);
      uint32_t* to = warp.reg<uint32_t>(in.list[m]);
      for (int lane = 0; lane < kLanes; ++lane) {
        const int i = lane / 4, j = 2 * (lane % 4);
        const uint16_t low = Transposed ? tile[j][i] : tile[i][j];
        const uint16_t high = Transposed ? tile[j + 1][i] : tile[i][j + 1];
        to[lane] = uint32_t{high} << 16 | low;
      }
    }
  });
}

template <bool Transposed>
void run_stmatrix(Warp& warp, const Instruction& in, Mask mask) {
  with_rows(warp, in, mask, AccessKind::write, [&](const Request& request) {
    for (int m = 0; m < in.count; ++m) {
      uint16_t tile[8][8];
      const uint32_t* from = warp.reg<uint32_t>(in.list[m]);
      for (int lane = 0; lane < kLanes; ++lane) {
        const int i = lane / 4, j = 2 * (lane % 4);
        (Transposed ? tile[j][i] : tile[i][j]) = static_cast<uint16_t>(from[lane]);
        (Transposed ? tile[j + 1][i] : tile[i][j + 1]) = static_cast<uint16_t>(from[lane] >> 16);
      }
      for (int row = 0; row < 8; ++row) std::memcpy(request.host[8 * m + row], tile[row], 16);
    }
  });
}

template <bool Loads>
void build_matrix_access(const PtxInstruction& in, Instruction& out, Decoder& decoder) {
  if (!in.has("sync") || !in.has("m8n8") || in.type() != "b16") throw UnknownForm();
  out.count = in.has("x1") ? 1 : in.has("x2") ? 2 : in.has("x4") ? 4 : 0;
  if (out.count == 0) throw UnknownForm();
  decoder.address(in.operands.at(Loads ? 1 : 0), 1, out);
  out.space = in.has("shared") || in.has("shared::cta") ? Space::shared : Space::generic;
  std::vector<int32_t> slots;
  append(slots, in.operands.at(Loads ? 0 : 1), out.count, Loads, decoder);
  out.list = decoder.list(slots);
  const bool transposed = in.has("trans");
  if (Loads)
    out.run = transposed ? run_ldmatrix<true> : run_ldmatrix<false>;
  else
    out.run = transposed ? run_stmatrix<true> : run_stmatrix<false>;
}

}  // namespace

std::vector<OpcodeEntry> matrix_opcodes() {
  return {{"mma", build_mma},
          {"ldmatrix", build_matrix_access<true>},
          {"stmatrix", build_matrix_access<false>}};
}

}  // namespace funnel::cudacpu
