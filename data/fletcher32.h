// SPDX-License-Identifier: Apache-2.0
// The checksum that HDF5's fletcher32 filter stores behind every chunk.
#pragma once

#include <cstdint>
#include <span>

namespace funnel {

// Of bytes taken as 16-bit big-endian words; an odd last byte is the upper half of one more.
uint32_t fletcher32(std::span<const char> bytes);

}  // namespace funnel
