// SPDX-License-Identifier: Apache-2.0
// A problem of relative attention, once as tests/reference takes it and once as the op does.
#pragma once

#include <ostream>
#include <vector>

#include "core/ops/relative_attention.h"
#include "tests/reference/attention.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {

// Of the sinusoids.
inline constexpr int64_t kWidth = 6;

struct AttentionCase {
  int64_t keys = 1, head_width = 4, heads = 2, batch = 2;
  bool pooled = false, cls_mask = true, segments = true, hidden = true, dropout = false;
  DType dtype = DType::f64;

  int64_t queries() const {
    if (!pooled) return keys;
    return static_cast<int64_t>(ref::pool_windows(keys, true, false).size());
  }
  int64_t shift() const { return pooled ? 2 : 1; }
  int64_t all() const { return heads * head_width; }
  Dropout mask() const {
    if (!dropout) return {};
    return Dropout(0.3, RandomStream(4, Site("attention"), 2), 3 * heads * queries() * keys);
  }
};

inline void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << c.queries() << " to " << c.keys << " by " << c.heads << " x " << c.head_width << ' '
       << name_of(c.dtype) << (c.cls_mask ? "" : " no_cls_mask")
       << (c.segments ? "" : " no_segments") << (c.hidden ? "" : " no_hidden")
       << (c.dropout ? " dropout" : "");
}

// The reference's problem; every number is representable as f32, or as bf16 where that is the
// dtype.
inline ref::RelativeAttention reference_problem(const AttentionCase& c) {
  const auto random = [&](int64_t n, uint64_t seed) {
    std::vector<double> values = random_values(n, seed, 0, 0.7);
    for (double& value : values) {
      const auto rounded = static_cast<float>(value);
      value = c.dtype == DType::bf16 ? float(BFloat16(rounded)) : rounded;
    }
    return values;
  };
  ref::RelativeAttention a{.batch = c.batch,
                           .queries = c.queries(),
                           .keys = c.keys,
                           .heads = c.heads,
                           .head_width = c.head_width,
                           .width = kWidth,
                           .q = random(c.batch * c.queries() * c.all(), 1),
                           .k = random(c.batch * c.keys * c.all(), 2),
                           .v = random(c.batch * c.keys * c.all(), 3),
                           .query_positions = ref::block_positions(c.keys, c.pooled, true, false),
                           .key_positions = ref::block_positions(c.keys, 0, true, false),
                           .position_kernel = random(kWidth * c.all(), 4),
                           .content_bias = random(c.all(), 5),
                           .position_bias = random(c.all(), 6),
                           .segment_bias = random(c.all(), 7),
                           .segment_embedding = random(2 * c.all(), 8)};
  a.cls_mask = c.cls_mask;
  if (c.segments) {
    a.query_segments = integers_of(random_integers({c.batch, c.queries()}, DType::u8, 3, 9));
    a.key_segments = integers_of(random_integers({c.batch, c.keys}, DType::u8, 3, 10));
  }
  if (c.hidden) {
    a.hidden = integers_of(random_integers({c.batch, c.keys}, DType::u8, 2, 11));
    for (int64_t b = 0; b < c.batch; ++b) a.hidden[b * c.keys] = 0;  // somebody is seen
  }
  for (int64_t i = 0; c.dropout && i < c.batch * c.heads * c.queries() * c.keys; ++i) {
    a.probability_factors.push_back(c.mask().factor(i));
  }
  return a;
}

// The same problem as the op takes it: positions become the projected rows of a table.
class AttentionProblem {
 public:
  AttentionProblem(const AttentionCase& c, const ref::RelativeAttention& a)
      : q(tensor(c, {c.batch, c.queries(), c.heads, c.head_width}, a.q)),
        k(tensor(c, {c.batch, c.keys, c.heads, c.head_width}, a.k)),
        v(tensor(c, {c.batch, c.keys, c.heads, c.head_width}, a.v)),
        table(ref::sinusoid_table(
            a.query_positions.front() - a.key_positions.front() + c.shift() * c.queries(), 1,
            rows(c), kWidth)),
        r(tensor(c, {rows(c), c.heads, c.head_width},
                 ref::matmul(table, a.position_kernel, rows(c), c.all(), kWidth))),
        content_bias(tensor(c, {c.heads, c.head_width}, a.content_bias)),
        position_bias(tensor(c, {c.heads, c.head_width}, a.position_bias)),
        segment_bias(tensor(c, {c.heads, c.head_width}, a.segment_bias)),
        segment_embedding(tensor(c, {2, c.heads, c.head_width}, a.segment_embedding)),
        q_segments({c.batch, c.queries()}, DType::u8),
        k_segments({c.batch, c.keys}, DType::u8),
        hidden({c.batch, c.keys}, DType::u8) {
    in = {.q = q,
          .k = k,
          .v = v,
          .r = r,
          .content_bias = content_bias,
          .position_bias = position_bias,
          .segment_bias = segment_bias,
          .segment_embedding = segment_embedding,
          .q_segments = flags(q_segments, a.query_segments),
          .k_segments = flags(k_segments, a.key_segments),
          .hidden = flags(hidden, a.hidden),
          .shift = c.shift(),
          .cls_mask = c.cls_mask,
          .dropout = c.mask()};
  }

 private:
  static int64_t rows(const AttentionCase& c) { return c.shift() * c.queries() + c.keys; }
  static OwnedTensor tensor(const AttentionCase& c, Shape shape,
                            const std::vector<double>& values) {
    return OwnedTensor(shape, c.dtype, values);
  }
  // Null where the reference has none.
  static ConstTensor flags(const OwnedTensor& tensor, const ref::Integers& values) {
    if (values.empty()) return {};
    set_values(tensor, std::vector<double>(values.begin(), values.end()));
    return tensor;
  }

  OwnedTensor q, k, v;

 public:
  ref::Vector table;  // [rows, kWidth]

 private:
  OwnedTensor r, content_bias, position_bias, segment_bias, segment_embedding;
  OwnedTensor q_segments, k_segments, hidden;

 public:
  AttentionInputs in;
};

}  // namespace funnel::testing
