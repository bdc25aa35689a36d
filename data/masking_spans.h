// SPDX-License-Identifier: Apache-2.0
// What may be chosen as a whole: the words of an example, and spans scattered over it. Ranges are
// [begin, end).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/random_sequence.h"
#include "data/vocabulary.h"

namespace funnel {

struct MaskingRange {
  int64_t begin = 0;
  int64_t end = 0;
  friend bool operator==(const MaskingRange&, const MaskingRange&) = default;
};

// [vocabulary size]: 1 for a piece that begins a word, 0 for one that continues it ("##").
std::vector<uint8_t> word_starts(const Vocabulary& vocabulary);

// Positions of the words of an example, in order: a piece that begins a word and those that
// continue it. A word ends at <cls>, <sep> and <pad>; the rest of one that was cut in front is a
// word.
std::vector<MaskingRange> words_of(std::span<const int32_t> ids, const SpecialIds& special,
                                   std::span<const uint8_t> starts);

struct SpanDraw {
  int64_t units = 0;  // what spans are made of, tokens or words, numbered from 0
  int64_t count = 0;  // spans drawn; those that would end behind `units` are dropped
  double chunk = 1;   // units that a chosen unit stands for
  int64_t min_length = 1;
  int64_t max_length = 5;
};

// Disjoint spans in random order: each has length n with probability proportional to 1 / (n + 1),
// and lies at a uniform offset inside a chunk of n * chunk units; chunks follow each other from
// unit 0. (laiguokun/Funnel-Transformer, tensorflow/input_func_builder.py.)
std::vector<MaskingRange> draw_spans(const SpanDraw& draw, RandomSequence& random);

}  // namespace funnel
