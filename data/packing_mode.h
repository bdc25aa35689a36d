// SPDX-License-Identifier: Apache-2.0
// The ways in which text was cut into examples, and how an example reads:
//     [CLS] A [SEP] B [SEP] [PAD] …      or      [CLS] A [SEP] [PAD] …
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace funnel {

enum class PackingMode {
  segment_pairs,  // A and B, always full
  sentences,      // A alone, whole sentences; <sep> also where it goes on in another document
  electra,        // A and B, or A alone, of one document, padded
  imported,       // A and B, or A alone, padded, as another program cut them
};

// The mode's name in a data index: that of the enumerator.
std::string_view name_of(PackingMode mode);

// The mode of this name. Throws an input error that begins with `source`.
PackingMode packing_mode_of(std::string_view name, const std::string& source);

// Whether examples may have padding or no B.
inline bool is_always_full(PackingMode mode) {
  return mode == PackingMode::segment_pairs;
}

struct ExampleLayout {
  int64_t segment_a = 0;  // tokens of A
  int64_t length = 0;     // tokens in front of the padding

  bool has_b() const { return length > segment_a + 2; }
  int64_t segment_b() const { return has_b() ? length - segment_a - 3 : 0; }
};

// How `ids` read; A has ids[1 .. segment_a].
ExampleLayout layout_of(std::span<const int32_t> ids, int64_t segment_a, int32_t pad);

}  // namespace funnel
