// SPDX-License-Identifier: Apache-2.0
// The primitives that the engine's kernels rely on, each run on fixed inputs. A section is what one
// of them gave, as bits; expectations.h says what it should have given.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace funnel::conformance {

// How the bits of a value are to be read.
enum class Format { bits16, bits32, f32, f64 };

struct Section {
  std::string name;
  Format format = Format::bits32;
  std::vector<uint64_t> bits;  // one value each
};

// Runs every primitive on the selected CUDA device. Throws Error where a call of the runtime fails.
std::vector<Section> run_primitives();

// What run_primitives() is made of.
std::vector<Section> run_arithmetic();
std::vector<Section> run_warp_primitives();

}  // namespace funnel::conformance
