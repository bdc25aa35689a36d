// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <algorithm>

#include "core/base/error.h"
#include "data/random_sequence.h"

namespace funnel {

void TokenizedDocuments::add_sentence(std::span<const int32_t> ids) {
  if (ids.empty()) return;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  sentence_ends_.push_back(tokens());
}

void TokenizedDocuments::end_document() {
  const int64_t before = document_ends_.empty() ? 0 : document_ends_.back();
  if (sentences() > before) document_ends_.push_back(sentences());
}

void TokenizedDocuments::clear() {
  ids_.clear();
  sentence_ends_.clear();
  document_ends_.clear();
}

// The documents in random order as one array, with the borders of their sentences.
class JoinedDocuments {
 public:
  JoinedDocuments(const TokenizedDocuments& from, RandomSequence& random) {
    std::vector<int64_t> order(from.document_ends_.size());
    random.permute(order.data(), from.documents());
    ids_.reserve(from.ids_.size());
    borders_.reserve(from.sentence_ends_.size() + 1);
    borders_.push_back(0);
    for (int64_t document : order) {
      const int64_t first = document == 0 ? 0 : from.document_ends_[document - 1];
      for (int64_t sentence = first; sentence < from.document_ends_[document]; ++sentence) {
        const int64_t begin = sentence == 0 ? 0 : from.sentence_ends_[sentence - 1];
        ids_.insert(ids_.end(), from.ids_.begin() + begin,
                    from.ids_.begin() + from.sentence_ends_[sentence]);
        borders_.push_back(tokens());
      }
    }
  }

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  const int32_t* at(int64_t position) const { return ids_.data() + position; }

  // 0, the end of every sentence in ascending order; the last is tokens().
  const std::vector<int64_t>& borders() const { return borders_; }

  int64_t border_at_or_before(int64_t position) const {
    return *(std::upper_bound(borders_.begin(), borders_.end(), position) - 1);
  }
  int64_t border_at_or_after(int64_t position) const {
    return *std::lower_bound(borders_.begin(), borders_.end(), position);
  }

 private:
  std::vector<int32_t> ids_;
  std::vector<int64_t> borders_;
};

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

void pack(const TokenizedDocuments& documents, const PackingConfig& config, int64_t group,
          int64_t pass, const TakeExample& take) {
  FUNNEL_CHECK_INPUT(config.seq_len >= 8, "seq_len: expected at least 8, found ", config.seq_len);
  FUNNEL_CHECK(documents.tokens() < int64_t{1} << 32,
               "packing: a group holds fewer than 2^32 tokens");
  RandomSequence random(RandomStream(config.seed, Site("packing") / group, pass));
  const JoinedDocuments text(documents, random);
  const int64_t budget = config.seq_len - 3;
  std::vector<int32_t> ids(static_cast<size_t>(config.seq_len));
  auto next = text.borders().begin();
  for (int64_t cursor = 0; cursor + budget < text.tokens();) {
    next = std::upper_bound(next, text.borders().end(), cursor);
    SegmentPair pair = cut(text, cursor, next, budget, random);
    cursor = pair.cursor;
    trim(pair, budget, random);
    auto to = ids.begin();
    *to++ = config.special.cls;
    to = std::copy(text.at(pair.a.begin), text.at(pair.a.end), to);
    *to++ = config.special.sep;
    to = std::copy(text.at(pair.b.begin), text.at(pair.b.end), to);
    *to++ = config.special.sep;
    take(ids, pair.a.size());
  }
}

}  // namespace funnel
