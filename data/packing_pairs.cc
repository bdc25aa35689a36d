// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "data/packing_modes.h"

namespace funnel {
namespace {

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

struct SegmentPair {
  Range a, b;
  int64_t cursor;  // where the next pair begins
};

// Cuts the pair that begins at `cursor`, at least `budget` tokens in all. `next` is the first
// border behind the cursor.
SegmentPair cut(const JoinedDocuments& text, int64_t cursor,
                std::vector<int64_t>::const_iterator next, int64_t budget, RandomSequence& random) {
  const auto end = std::lower_bound(next, text.borders().end(), cursor + budget);
  const int64_t cut_points = end - next;
  const bool follows = cut_points > 0 && !random.coin();
  const int64_t a_end = cut_points == 0 ? *end : next[random.below(cut_points)];
  if (follows) return {{cursor, a_end}, {a_end, *end}, *end};
  const int64_t length = std::max<int64_t>(1, budget - (a_end - cursor));
  const int64_t begin = random.below(text.tokens() - length);
  return {{cursor, a_end},
          {text.border_at_or_before(begin), text.border_at_or_after(begin + length)},
          a_end};
}

// Drops the last token of A while A is longer, else the last or first of B.
void trim(SegmentPair& pair, int64_t budget, RandomSequence& random) {
  while (pair.a.size() + pair.b.size() > budget) {
    if (pair.a.size() > pair.b.size()) {
      --pair.a.end;
    } else if (random.coin()) {
      ++pair.b.begin;
    } else {
      --pair.b.end;
    }
  }
}

}  // namespace

void pack_segment_pairs(const JoinedDocuments& text, const PackingConfig& config,
                        RandomSequence& random, const TakeExample& take) {
  const int64_t budget = config.seq_len - 3;
  PackingRow row(config);
  auto next = text.borders().begin();
  for (int64_t cursor = 0; cursor + budget < text.tokens();) {
    next = std::upper_bound(next, text.borders().end(), cursor);
    SegmentPair pair = cut(text, cursor, next, budget, random);
    cursor = pair.cursor;
    trim(pair, budget, random);
    row.add(text.ids(pair.a.begin, pair.a.end));
    row.add(config.special.sep);
    row.add(text.ids(pair.b.begin, pair.b.end));
    row.add(config.special.sep);
    row.finish(pair.a.size(), take);
  }
}

}  // namespace funnel
