// SPDX-License-Identifier: Apache-2.0
// Reference of relative attention (Dai et al., Funnel-Transformer), straight from the score of a
// (query, key) pair; no shift trick, no tables:
//
//     A_ij = (Q_i + s r_w) . K_j + F_ij [ (Q_i + s r_r) . (E_{p_i - p_j} W_r)
//                                       + (Q_i + s r_s) . seg[same_ij] ] - 1e6 hidden_j
//     Q = s q,  s = 1 / sqrt(head_width),  P = softmax_j(A),  context_i = sum_j P_ij M_ij v_j
//
// F is 0 in row 0 and column 0 where the CLS mask is on, else 1; M are dropout factors.
#pragma once

#include <cmath>

#include "tests/reference/losses.h"
#include "tests/reference/positions.h"

namespace funnel::ref {

struct RelativeAttention {
  int64_t batch = 0, queries = 0, keys = 0, heads = 0, head_width = 0, width = 0;
  Vector q, k, v;                   // [batch, queries or keys, heads, head_width], q not yet scaled
  Integers query_positions;         // [queries]
  Integers key_positions;           // [keys]
  Vector position_kernel;           // W_r [width, heads, head_width]
  Vector content_bias;              // r_w [heads, head_width]
  Vector position_bias;             // r_r [heads, head_width]
  Vector segment_bias;              // r_s [heads, head_width]
  Vector segment_embedding;         // [2, heads, head_width]: row 0 differs, row 1 same
  Integers query_segments = {};     // [batch, queries]; empty drops the segment term
  Integers key_segments = {};       // [batch, keys]
  Integers hidden = {};             // [batch, keys], 1 = cannot be attended to; empty = none
  bool cls_mask = true;             // F
  Vector probability_factors = {};  // M [batch, heads, queries, keys]; empty = all 1
  Vector position_factors = {};  // dropout of E by distance d: [2 range + 1, width], row d + range
  int64_t position_factor_range = 0;

  double scale() const { return 1.0 / std::sqrt(static_cast<double>(head_width)); }
  bool relative(int64_t i, int64_t j) const { return !cls_mask || (i > 0 && j > 0); }
  bool same(int64_t b, int64_t i, int64_t j) const {
    const int64_t a = query_segments.at(b * queries + i), c = key_segments.at(b * keys + j);
    return a == c || a == 2 || c == 2;
  }
  Vector position_vector(int64_t i, int64_t j) const {
    const int64_t distance = query_positions.at(i) - key_positions.at(j);
    Vector e = sinusoid(static_cast<double>(distance), width);
    if (position_factors.empty()) return e;
    for (int64_t d = 0; d < width; ++d) {
      e.at(d) *= position_factors.at((distance + position_factor_range) * width + d);
    }
    return e;
  }
};

struct AttentionOutput {
  Vector scores;         // [batch, heads, queries, keys]
  Vector probabilities;  // [batch, heads, queries, keys], before dropout
  Vector context;        // [batch, queries, heads, head_width]
};

// (E_{p_i - p_j} W_r) of every pair: [queries, keys, heads * head_width].
inline Vector pair_position_keys(const RelativeAttention& a) {
  const int64_t hidden_width = a.heads * a.head_width;
  Vector result;
  for (int64_t i = 0; i < a.queries; ++i) {
    for (int64_t j = 0; j < a.keys; ++j) {
      const Vector row =
          matmul(a.position_vector(i, j), a.position_kernel, 1, hidden_width, a.width);
      result.insert(result.end(), row.begin(), row.end());
    }
  }
  return result;
}

inline double pair_score(const RelativeAttention& a, const Vector& position_keys, int64_t b,
                         int64_t n, int64_t i, int64_t j) {
  double content = 0, position = 0, segment = 0;
  for (int64_t c = 0; c < a.head_width; ++c) {
    const int64_t head = n * a.head_width + c, all = a.heads * a.head_width;
    const double q = a.scale() * a.q.at((b * a.queries + i) * all + head);
    content += (q + a.scale() * a.content_bias.at(head)) * a.k.at((b * a.keys + j) * all + head);
    position += (q + a.scale() * a.position_bias.at(head)) *
                position_keys.at((i * a.keys + j) * all + head);
    if (a.query_segments.empty()) continue;
    segment += (q + a.scale() * a.segment_bias.at(head)) *
               a.segment_embedding.at((a.same(b, i, j) ? all : 0) + head);
  }
  double score = content;
  if (a.relative(i, j)) score += position + segment;
  if (!a.hidden.empty() && a.hidden.at(b * a.keys + j) != 0) score -= 1e6;
  return score;
}

inline AttentionOutput attention_forward(const RelativeAttention& a) {
  const Vector position_keys = pair_position_keys(a);
  AttentionOutput out;
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t n = 0; n < a.heads; ++n) {
      for (int64_t i = 0; i < a.queries; ++i) {
        for (int64_t j = 0; j < a.keys; ++j) {
          out.scores.push_back(pair_score(a, position_keys, b, n, i, j));
        }
      }
    }
  }
  out.probabilities = softmax_forward(out.scores, a.batch * a.heads * a.queries, a.keys);
  const int64_t all = a.heads * a.head_width;
  out.context = Vector(a.batch * a.queries * all);
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t n = 0; n < a.heads; ++n) {
      for (int64_t i = 0; i < a.queries; ++i) {
        for (int64_t j = 0; j < a.keys; ++j) {
          const int64_t pair = ((b * a.heads + n) * a.queries + i) * a.keys + j;
          double p = out.probabilities.at(pair);
          if (!a.probability_factors.empty()) p *= a.probability_factors.at(pair);
          for (int64_t c = 0; c < a.head_width; ++c) {
            out.context.at((b * a.queries + i) * all + n * a.head_width + c) +=
                p * a.v.at((b * a.keys + j) * all + n * a.head_width + c);
          }
        }
      }
    }
  }
  return out;
}

struct AttentionGradient {
  Vector dq, dk, dv;  // like q, k, v
  Vector dposition_kernel, dcontent_bias, dposition_bias, dsegment_bias, dsegment_embedding;
  Vector dscores;  // [batch, heads, queries, keys]
};

// d loss / d scores [batch, heads, queries, keys], and dv in passing.
inline Vector score_gradient(const RelativeAttention& a, const AttentionOutput& forward,
                             const Vector& dcontext, Vector& dv) {
  const int64_t all = a.heads * a.head_width;
  Vector dprobabilities(forward.probabilities.size());
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t n = 0; n < a.heads; ++n) {
      for (int64_t i = 0; i < a.queries; ++i) {
        for (int64_t j = 0; j < a.keys; ++j) {
          const int64_t pair = ((b * a.heads + n) * a.queries + i) * a.keys + j;
          const double m = a.probability_factors.empty() ? 1.0 : a.probability_factors.at(pair);
          for (int64_t c = 0; c < a.head_width; ++c) {
            const int64_t query = (b * a.queries + i) * all + n * a.head_width + c;
            const int64_t key = (b * a.keys + j) * all + n * a.head_width + c;
            dprobabilities.at(pair) += m * dcontext.at(query) * a.v.at(key);
            dv.at(key) += m * forward.probabilities.at(pair) * dcontext.at(query);
          }
        }
      }
    }
  }
  return softmax_backward(dprobabilities, forward.probabilities, a.batch * a.heads * a.queries,
                          a.keys);
}

// Adds what the score of one pair, with gradient dscore, sends back.
inline void add_pair_gradient(const RelativeAttention& a, const Vector& position_keys,
                              double dscore, int64_t b, int64_t n, int64_t i, int64_t j,
                              AttentionGradient& out) {
  const double s = a.scale();
  const int64_t all = a.heads * a.head_width;
  const Vector e = a.position_vector(i, j);
  for (int64_t c = 0; c < a.head_width; ++c) {
    const int64_t head = n * a.head_width + c;
    const int64_t query = (b * a.queries + i) * all + head, key = (b * a.keys + j) * all + head;
    const double q = a.q.at(query);
    out.dk.at(key) += dscore * s * (q + a.content_bias.at(head));
    out.dcontent_bias.at(head) += dscore * s * a.k.at(key);
    out.dq.at(query) += dscore * s * a.k.at(key);
    if (!a.relative(i, j)) continue;

    const double r = position_keys.at((i * a.keys + j) * all + head);
    out.dposition_bias.at(head) += dscore * s * r;
    out.dq.at(query) += dscore * s * r;
    for (int64_t d = 0; d < a.width; ++d) {
      out.dposition_kernel.at(d * all + head) +=
          dscore * s * (q + a.position_bias.at(head)) * e.at(d);
    }
    if (a.query_segments.empty()) continue;

    const int64_t segment = (a.same(b, i, j) ? all : 0) + head;
    out.dsegment_bias.at(head) += dscore * s * a.segment_embedding.at(segment);
    out.dq.at(query) += dscore * s * a.segment_embedding.at(segment);
    out.dsegment_embedding.at(segment) += dscore * s * (q + a.segment_bias.at(head));
  }
}

inline AttentionGradient attention_backward(const RelativeAttention& a,
                                            const AttentionOutput& forward,
                                            const Vector& dcontext) {
  const int64_t all = a.heads * a.head_width;
  AttentionGradient out{.dq = Vector(a.q.size()),
                        .dk = Vector(a.k.size()),
                        .dv = Vector(a.v.size()),
                        .dposition_kernel = Vector(a.width * all),
                        .dcontent_bias = Vector(all),
                        .dposition_bias = Vector(all),
                        .dsegment_bias = Vector(all),
                        .dsegment_embedding = Vector(2 * all),
                        .dscores = {}};
  out.dscores = score_gradient(a, forward, dcontext, out.dv);
  const Vector position_keys = pair_position_keys(a);
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t n = 0; n < a.heads; ++n) {
      for (int64_t i = 0; i < a.queries; ++i) {
        for (int64_t j = 0; j < a.keys; ++j) {
          const int64_t pair = ((b * a.heads + n) * a.queries + i) * a.keys + j;
          add_pair_gradient(a, position_keys, out.dscores.at(pair), b, n, i, j, out);
        }
      }
    }
  }
  return out;
}

}  // namespace funnel::ref
