// SPDX-License-Identifier: Apache-2.0
// What materialised relative attention does between its matrix products: row functors over the
// queries of a group of examples. Private to core/ops/attention_materialised.cc. The arithmetic is
// described in core/ops/relative_attention.h.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/base/math.h"
#include "core/ops/dropout_rows.h"
#include "core/ops/relative_attention.h"

namespace funnel {

// Rows stand for (head, example of the group, query), in this order.
struct QueryGrid {
  int64_t first_example, examples, heads, q_len, k_len, head_width, positions, shift;
  bool cls_mask;

  FUNNEL_HD int64_t query(int64_t row) const { return row % q_len; }
  FUNNEL_HD int64_t token(int64_t row) const { return row % (examples * q_len); }  // of the group
  FUNNEL_HD int64_t head(int64_t row) const { return row / (examples * q_len); }
  FUNNEL_HD int64_t example(int64_t row) const { return first_example + token(row) / q_len; }
  FUNNEL_HD int64_t tokens() const { return examples * q_len; }
  FUNNEL_HD int64_t rows() const { return heads * tokens(); }
  // In [batch, heads, q_len], and the first element in [batch, q_len, heads, head_width].
  FUNNEL_HD int64_t statistic(int64_t row) const {
    return (example(row) * heads + head(row)) * q_len + query(row);
  }
  FUNNEL_HD int64_t vector(int64_t row) const {
    return ((first_example * q_len + token(row)) * heads + head(row)) * head_width;
  }
};

// What hidden keys cost, unless all of an example are hidden: the same penalty on every key would
// only cost the scores their digits.
template <class C>
struct PenaltyRow {
  const uint8_t* hidden;  // [batch, k_len]
  int64_t k_len;
  C* penalty;

  template <class Team>
  FUNNEL_HD void operator()(int64_t example, const Team& team) const {
    const uint8_t* flag = hidden + example * k_len;
    C* out = penalty + example * k_len;
    const int64_t count = team.sum(k_len, [=](int64_t j) { return int64_t{flag[j] != 0}; });
    const C cost = count == k_len ? C(0) : C(-1e6);
    team.each(k_len, [=](int64_t j) { out[j] = flag[j] != 0 ? cost : C(0); });
  }
};

// The scaled queries with their biases, and their products with the two segment embeddings.
template <class T>
struct QueryRow {
  using C = Compute<T>;
  QueryGrid grid;
  C scale;
  const T *q, *content_bias, *position_bias, *segment_bias;
  const T* embedding;                 // [2, heads, head_width], or null: no segments
  T *content_query, *position_query;  // [rows, head_width]
  C* dots;                            // [rows, 2]: different, same

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t width = grid.head_width, head = grid.head(row) * width;
    const C s = scale;
    const T* in = q + grid.vector(row);
    const T *r_w = content_bias + head, *r_r = position_bias + head, *r_s = segment_bias + head;
    T *content = content_query + row * width, *position = position_query + row * width;
    team.each(width, [=](int64_t c) {
      content[c] = s * (in[c] + r_w[c]);
      position[c] = s * (in[c] + r_r[c]);
    });
    if (embedding == nullptr) return;
    const T *different = embedding + head, *same = different + grid.heads * width;
    const auto dot = [=, &team](const T* e) {
      return team.sum(width, [=](int64_t c) { return s * (in[c] + r_s[c]) * e[c]; });
    };
    const C with_different = dot(different), with_same = dot(same);
    if (!team.leader()) return;
    dots[2 * row] = with_different;
    dots[2 * row + 1] = with_same;
  }
};

// What joins the product of a content query and a key in the score.
template <class C>
struct ScoreTerms {
  QueryGrid grid;
  const C* penalty;                        // [batch, k_len], or null: no key is hidden
  const C* position;                       // [rows, positions]
  const C* dots;                           // [rows, 2]
  const uint8_t *q_segments, *k_segments;  // null: no segments

  struct Row {
    const C *penalty, *position;
    const uint8_t* segments;
    uint8_t segment;
    bool relative, cls_mask;
    C different, same;

    FUNNEL_HD bool is_relative(int64_t j) const { return relative && !(cls_mask && j == 0); }
    FUNNEL_HD bool is_same(int64_t j) const {
      return segments[j] == segment || segments[j] == kClsSegment || segment == kClsSegment;
    }
    FUNNEL_HD C operator()(int64_t j) const {
      const C hidden = penalty == nullptr ? C(0) : penalty[j];
      if (!is_relative(j)) return hidden;
      if (segments == nullptr) return position[j] + hidden;
      return position[j] + (is_same(j) ? same : different) + hidden;
    }
  };

  // Where the position scores of a query begin: those of key 0.
  FUNNEL_HD int64_t shifted(int64_t row) const {
    return grid.shift * (grid.q_len - grid.query(row));
  }

  FUNNEL_HD Row row(int64_t row) const {
    const int64_t keys = grid.example(row) * grid.k_len;
    Row terms{};
    terms.penalty = penalty == nullptr ? nullptr : penalty + keys;
    terms.position = position + row * grid.positions + shifted(row);
    terms.cls_mask = grid.cls_mask;
    terms.relative = !(grid.cls_mask && grid.query(row) == 0);
    if (q_segments == nullptr) return terms;
    terms.segments = k_segments + keys;
    terms.segment = q_segments[grid.example(row) * grid.q_len + grid.query(row)];
    terms.different = dots[2 * row];
    terms.same = dots[2 * row + 1];
    return terms;
  }
};

// Content products become probabilities, dropped out.
template <class T>
struct ProbabilityRow {
  static constexpr unsigned kMinBlocks = std::is_same_v<T, double> ? 1 : 0;  // no spills
  using C = Compute<T>;
  ScoreTerms<C> terms;
  Dropout dropout;
  C* scores;          // [rows, k_len], overwritten
  T* probabilities;   // [rows, k_len]; scores itself where both have one type
  C* log_normaliser;  // [batch, heads, q_len]

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t keys = terms.grid.k_len, statistic = terms.grid.statistic(row);
    const typename ScoreTerms<C>::Row term = terms.row(row);
    C* score = scores + row * keys;
    T* p = probabilities + row * keys;
    team.each(keys, [=](int64_t j) { score[j] += term(j); });
    const C top = team.max(keys, [=](int64_t j) { return score[j]; });
    const C sum = team.sum(keys, [=](int64_t j) { return math::exp(score[j] - top); });
    if (team.leader()) log_normaliser[statistic] = top + math::log(sum);
    const C inverse = C(1) / sum;
    each_with_factor(team, keys, dropout, statistic * keys, [=](int64_t j, float factor) {
      p[j] = math::exp(score[j] - top) * inverse * C(factor);
    });
  }
};

// Content products become probabilities, dropped out; the gradients of those become the gradients
// of the scores; position products become the gradients of themselves: the scores' gradients on the
// query's diagonal, and zeros beside it. Where products and what the next are made of have one
// type, each takes the place of its product.
template <class T>
struct ScoreGradientRow {
  static constexpr unsigned kMinBlocks = std::is_same_v<T, double> ? 1 : 0;  // no spills
  using C = Compute<T>;
  ScoreTerms<C> terms;
  Dropout dropout;
  const C* log_normaliser;
  const T *context, *dcontext;
  const C* scores;          // [rows, k_len]
  T* probabilities;         // [rows, k_len]
  const C* dprobabilities;  // [rows, k_len]
  T* dscores;               // [rows, k_len]
  T* dposition;             // [rows, positions]
  C* ddots;                 // [rows, 2]

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const QueryGrid& grid = terms.grid;
    const int64_t keys = grid.k_len, statistic = grid.statistic(row);
    const typename ScoreTerms<C>::Row term = terms.row(row);
    const C normaliser = log_normaliser[statistic];
    const T *out = context + grid.vector(row), *dout = dcontext + grid.vector(row);
    // sum_j dP P, dropout included
    const C delta = team.sum(grid.head_width, [=](int64_t c) { return dout[c] * out[c]; });
    const C *score = scores + row * keys, *dp = dprobabilities + row * keys;
    T *p = probabilities + row * keys, *d = dscores + row * keys;
    each_with_factor(team, keys, dropout, statistic * keys, [=](int64_t j, float factor) {
      const C probability = math::exp(score[j] + term(j) - normaliser);
      p[j] = probability * C(factor);
      d[j] = probability * (dp[j] * C(factor) - delta);
    });
    const int64_t shifted = terms.shifted(row);
    T* diagonal = dposition + row * grid.positions;
    team.each(grid.positions, [=](int64_t c) {
      const int64_t j = c - shifted;
      diagonal[c] = j >= 0 && j < keys && term.is_relative(j) ? d[j] : T(0);
    });
    if (term.segments == nullptr) return;
    const C all = team.sum(keys, [=](int64_t j) { return C(term.is_relative(j) ? d[j] : T(0)); });
    const C same = team.sum(
        keys, [=](int64_t j) { return C(term.is_relative(j) && term.is_same(j) ? d[j] : T(0)); });
    if (!team.leader()) return;
    ddots[2 * row] = all - same;
    ddots[2 * row + 1] = same;
  }
};

// dq, and each query's part of the gradients of the biases and of the segment embedding.
template <class T>
struct QueryGradientRow {
  using C = Compute<T>;
  QueryGrid grid;
  C scale;
  const C *dcontent_query, *dposition_query;  // [rows, head_width]
  const T *q, *segment_bias;
  const T* embedding;  // or null: no segments
  const C* ddots;      // [rows, 2]
  T* dq;
  C* parts;  // [content, position, segment, different, same; tokens, heads, head_width]

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t width = grid.head_width, head = grid.head(row) * width;
    const int64_t part = grid.rows() * width;
    const C s = scale;
    const C *dcontent = dcontent_query + row * width, *dposition = dposition_query + row * width;
    T* out = dq + grid.vector(row);
    C* to = parts + grid.token(row) * grid.heads * width + head;
    team.each(width, [=](int64_t c) {
      const C content = s * dcontent[c], position = s * dposition[c];
      to[c] = content;
      to[part + c] = position;
      out[c] = content + position;
    });
    if (embedding == nullptr) return;
    const T *different = embedding + head, *same = different + grid.heads * width;
    const T *in = q + grid.vector(row), *r_s = segment_bias + head;
    const C with_different = ddots[2 * row], with_same = ddots[2 * row + 1];
    team.each(width, [=](int64_t c) {
      const C segment = s * (with_different * different[c] + with_same * same[c]);
      const C query = s * (in[c] + r_s[c]);
      out[c] += segment;
      to[2 * part + c] = segment;
      to[3 * part + c] = with_different * query;
      to[4 * part + c] = with_same * query;
    });
  }
};

}  // namespace funnel
