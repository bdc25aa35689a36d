// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/mma_models.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace funnel::conformance {
namespace {

// A double holds these sums exactly enough to round them once: products have 16 bits.
float rounded(const MmaTile& t, int row, int column) {
  long double sum = t.c[row][column];
  for (int k = 0; k < 16; ++k) {
    sum += static_cast<long double>(from_bf16(t.a[row][k])) * from_bf16(t.b[column][k]);
  }
  return static_cast<float>(sum);
}

float ordered(const MmaTile& t, int row, int column) {
  float sum = t.c[row][column];
  for (int k = 0; k < 16; ++k) {
    sum = std::fma(from_bf16(t.a[row][k]), from_bf16(t.b[column][k]), sum);
  }
  return sum;
}

float toward_zero(double value) {
  const auto nearest = static_cast<float>(value);
  return std::fabs(nearest) > std::fabs(value) ? std::nextafter(nearest, 0.0f) : nearest;
}

float truncated(const MmaModel& model, const MmaTile& t, int row, int column) {
  float sum = t.c[row][column];
  for (int first = 0; first < 16; first += model.products) {
    std::vector<double> terms = {sum};
    int most = sum == 0 ? -1000 : std::ilogb(sum);
    for (int k = first; k < first + model.products; ++k) {
      const double a = from_bf16(t.a[row][k]), b = from_bf16(t.b[column][k]);
      terms.push_back(a * b);
      if (a * b == 0) continue;
      const int by_operands = std::ilogb(a) + std::ilogb(b);
      most = std::max(most, model.operands_set_scale ? by_operands : std::ilogb(a * b));
    }
    if (most == -1000) continue;
    const double unit = std::ldexp(1.0, most - 23 - model.extra_bits);
    double total = 0;
    for (const double term : terms) total += std::trunc(term / unit) * unit;
    sum = toward_zero(total);
  }
  return sum;
}

}  // namespace

std::string MmaModel::name() const {
  if (sum == Sum::rounded) return "rounded";
  if (sum == Sum::ordered) return "ordered";
  return concat("truncated (", products, " products, ", extra_bits, " extra bits",
                operands_set_scale ? ", scaled by operands)" : ")");
}

std::vector<MmaModel> mma_models() {
  std::vector<MmaModel> models = {{.sum = MmaModel::Sum::rounded}, {.sum = MmaModel::Sum::ordered}};
  for (const int products : {4, 8, 16}) {
    for (const int extra_bits : {0, 1, 2, 3}) {
      for (const bool operands : {false, true}) {
        models.push_back({MmaModel::Sum::truncated, products, extra_bits, operands});
      }
    }
  }
  return models;
}

float mma_element(const MmaModel& model, const MmaTile& tile, int row, int column) {
  if (model.sum == MmaModel::Sum::rounded) return rounded(tile, row, column);
  if (model.sum == MmaModel::Sum::ordered) return ordered(tile, row, column);
  return truncated(model, tile, row, column);
}

std::vector<std::string> models_of(const Section& sums) {
  std::vector<std::string> names;
  for (const MmaModel& model : mma_models()) {
    bool same = true;
    for (int tile = 0; tile < kSpreadTiles; ++tile) {
      const MmaTile operands = spread_tile(10 + tile);
      for (int i = 0; same && i < 128; ++i) {
        const float value = mma_element(model, operands, i / 8, i % 8);
        same = sums.bits.at(128 * tile + i) == std::bit_cast<uint32_t>(value);
      }
    }
    if (same) names.push_back(model.name());
  }
  return names;
}

}  // namespace funnel::conformance
