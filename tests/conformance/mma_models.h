// SPDX-License-Identifier: Apache-2.0
// How mma may add. The PTX manual leaves the order and the rounding of a product's sum open; these
// are the ways that are known or plausible (Fasi et al., PeerJ CS 7:e330, 2021), so that a device's
// results can tell which one is its own.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/inputs.h"
#include "tests/conformance/primitives.h"

namespace funnel::conformance {

struct MmaModel {
  enum class Sum {
    rounded,   // exactly, rounded once
    ordered,   // one fused multiply-add after the other
    truncated  // so many products and the sum so far aligned to the largest, cut off, added
  };
  Sum sum = Sum::rounded;
  int products = 8;                 // truncated: at a time
  int extra_bits = 1;               // truncated: kept below the last place of a float
  bool operands_set_scale = false;  // truncated: "largest" is by the operands' exponents
  std::string name() const;
};

// All that are told apart.
std::vector<MmaModel> mma_models();

// Element (row, column) of A B + C.
float mma_element(const MmaModel& model, const MmaTile& tile, int row, int column);

// The names of the models that give a section "mma sums" to the last bit.
std::vector<std::string> models_of(const Section& sums);

}  // namespace funnel::conformance
