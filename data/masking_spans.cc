// SPDX-License-Identifier: Apache-2.0
#include "data/masking_spans.h"

#include <algorithm>
#include <cmath>

namespace funnel {
namespace {

// A length from min_length on, with probability proportional to 1 / (length + 1).
int64_t draw_length(const SpanDraw& draw, double total_weight, RandomSequence& random) {
  double left = uniform01(random.word()) * total_weight;
  int64_t length = draw.min_length;
  for (; length < draw.max_length; ++length) {
    left -= 1.0 / static_cast<double>(length + 1);
    if (left < 0) break;
  }
  return length;
}

}  // namespace

std::vector<uint8_t> word_starts(const Vocabulary& vocabulary) {
  std::vector<uint8_t> starts(static_cast<size_t>(vocabulary.size()));
  for (size_t id = 0; id < starts.size(); ++id) {
    starts[id] = vocabulary.piece(static_cast<int32_t>(id)).starts_with("##") ? 0 : 1;
  }
  return starts;
}

std::vector<MaskingRange> words_of(std::span<const int32_t> ids, const SpecialIds& special,
                                   std::span<const uint8_t> starts) {
  std::vector<MaskingRange> words;
  bool is_inside = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int32_t id = ids[i];
    const auto at = static_cast<int64_t>(i);
    if (id == special.cls || id == special.sep || id == special.pad) {
      is_inside = false;
    } else if (is_inside && starts[static_cast<size_t>(id)] == 0) {
      words.back().end = at + 1;
    } else {
      words.push_back({at, at + 1});
      is_inside = true;
    }
  }
  return words;
}

std::vector<MaskingRange> draw_spans(const SpanDraw& draw, RandomSequence& random) {
  double total_weight = 0;
  for (int64_t length = draw.min_length; length <= draw.max_length; ++length) {
    total_weight += 1.0 / static_cast<double>(length + 1);
  }
  std::vector<MaskingRange> spans;
  int64_t chunk_begin = 0;
  for (int64_t i = 0; i < draw.count && chunk_begin < draw.units; ++i) {
    const int64_t length = draw_length(draw, total_weight, random);
    const double room = static_cast<double>(length) * (draw.chunk - 1);
    // Half-way cases go to the even number, as in the original; what is left of the room follows.
    const auto offset = std::llrint(uniform01(random.word()) * room);
    const int64_t begin = chunk_begin + offset;
    if (begin + length <= draw.units) spans.push_back({begin, begin + length});
    chunk_begin += std::llrint(static_cast<double>(length) * draw.chunk);
  }
  std::vector<int64_t> order(spans.size());
  random.permute(order.data(), static_cast<int64_t>(order.size()));
  std::vector<MaskingRange> shuffled;
  shuffled.reserve(spans.size());
  for (int64_t i : order) shuffled.push_back(spans[static_cast<size_t>(i)]);
  return shuffled;
}

}  // namespace funnel
