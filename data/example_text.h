// SPDX-License-Identifier: Apache-2.0
// An example as people read it: its segments between the special tokens, and in each the words,
// with a bar between the pieces of a word:
//     <cls>
//     A, 6 tokens in 4 words
//       an un|aff|able man
//     <sep>
//     B, 2 tokens in 2 words
//       no .
//     <sep>
//     <pad>, 3 times
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/packing_mode.h"
#include "data/vocabulary.h"

namespace funnel {

// Lines of at most about 96 columns. A has ids[1 .. segment_a]. A segment that begins in the middle
// of a word begins with a bar.
std::string example_text(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                         int64_t segment_a);

}  // namespace funnel
