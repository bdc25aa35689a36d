// SPDX-License-Identifier: Apache-2.0
// Many Philox calls at once, for the ops that draw for every element. The words are those of
// RandomStream::bits, bit for bit.
#pragma once

#include <cstdint>

#include "core/base/random.h"

namespace funnel {

// words[4 c + w] = stream.bits(first_call + c).word[w] for c in [0, calls), w in [0, 4).
void philox_words(const RandomStream& stream, uint64_t first_call, int64_t calls, uint32_t* words);

}  // namespace funnel
