// SPDX-License-Identifier: Apache-2.0
// Oracle: tests/reference/attention.h, which scores every (query, key) pair from the distance of
// their positions, without tables or shifts. Lengths around the CPU path's block of 64 query rows;
// within one sequence, and from pooled queries to unpooled keys.
#include "core/ops/relative_attention.h"

#include <gtest/gtest.h>

#include "tests/reference/attention.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

constexpr int64_t kWidth = 6;

struct Case {
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

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.queries() << " to " << c.keys << " by " << c.heads << " x " << c.head_width << ' '
       << name_of(c.dtype) << (c.cls_mask ? "" : " no_cls_mask")
       << (c.segments ? "" : " no_segments") << (c.hidden ? "" : " no_hidden")
       << (c.dropout ? " dropout" : "");
}

// The reference's problem; every number is representable as f32.
ref::RelativeAttention problem(const Case& c) {
  const auto random = [&](int64_t n, uint64_t seed) {
    std::vector<double> values = random_values(n, seed, 0, 0.7);
    for (double& value : values) value = static_cast<double>(static_cast<float>(value));
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
class Problem {
 public:
  Problem(const Case& c, const ref::RelativeAttention& a)
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
  static int64_t rows(const Case& c) { return c.shift() * c.queries() + c.keys; }
  static OwnedTensor tensor(const Case& c, Shape shape, const std::vector<double>& values) {
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

class RelativeAttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  // Errors count against the largest element, or against 1 where all are smaller: with a single key
  // to see, the gradient of a score is zero, but its two terms are not.
  static void expect_agreement(const std::string& what, std::vector<double> actual,
                               std::vector<double> expected) {
    actual.push_back(1);
    expected.push_back(1);
    expect_close(what, actual, expected,
                 GetParam().dtype == DType::f64 ? Tolerance{0, 1e-13} : Tolerance{0, 1e-5});
  }
};

TEST_P(RelativeAttentionTest, AgreesWithTheReference) {
  const Case& c = GetParam();
  const ref::RelativeAttention a = problem(c);
  const Problem p(c, a);
  Context context(Device::cpu);

  const ref::AttentionOutput expected = ref::attention_forward(a);
  const OwnedTensor attended(p.in.q.shape(), c.dtype);
  const OwnedTensor normaliser({c.batch, c.heads, c.queries()}, c.dtype);
  relative_attention_forward(context,
                             {.in = p.in, .context = attended, .log_normaliser = normaliser});
  expect_agreement("context", attended.values(), expected.context);
  expect_agreement("log_normaliser", normaliser.values(),
                   ref::logsumexp(expected.scores, c.batch * c.heads * c.queries(), c.keys));

  const OwnedTensor dcontext = random_tensor(p.in.q.shape(), DType::f64, 12);
  const ref::AttentionGradient gradient = ref::attention_backward(a, expected, dcontext.values());
  const OwnedTensor dcontext_given(p.in.q.shape(), c.dtype, dcontext.values());
  const OwnedTensor dq(p.in.q.shape(), c.dtype), dk(p.in.k.shape(), c.dtype);
  const OwnedTensor dv(p.in.v.shape(), c.dtype), dr(p.in.r.shape(), c.dtype);
  const Shape bias{c.heads, c.head_width}, embedding{2, c.heads, c.head_width};
  // Accumulated: they start from one.
  const OwnedTensor dcontent(bias, c.dtype, std::vector<double>(c.all(), 1.0));
  const OwnedTensor dposition(bias, c.dtype, std::vector<double>(c.all(), 1.0));
  const OwnedTensor dsegment(bias, c.dtype, std::vector<double>(c.all(), 1.0));
  const OwnedTensor dembedding(embedding, c.dtype, std::vector<double>(2 * c.all(), 1.0));
  relative_attention_backward(context, {.in = p.in,
                                        .context = attended,
                                        .log_normaliser = normaliser,
                                        .dcontext = dcontext_given,
                                        .dq = dq,
                                        .dk = dk,
                                        .dv = dv,
                                        .dr = dr,
                                        .dcontent_bias = dcontent,
                                        .dposition_bias = dposition,
                                        .dsegment_bias = dsegment,
                                        .dsegment_embedding = dembedding});
  expect_agreement("dq", dq.values(), gradient.dq);
  expect_agreement("dk", dk.values(), gradient.dk);
  expect_agreement("dv", dv.values(), gradient.dv);
  const std::vector<double> dr_values = dr.values();
  for (int64_t i = 0; i < c.shift() * c.all(); ++i) {
    ASSERT_EQ(dr_values[i], 0) << "no pair reads the first rows";
  }
  // The gradient of W_r is the table's transpose times that of the table's projected rows.
  const int64_t rows = p.in.r.shape()[0];
  const ref::Vector dkernel =
      ref::matmul(ref::transpose(p.table, rows, kWidth), dr_values, kWidth, c.all(), rows);
  expect_agreement("dr", dkernel, gradient.dposition_kernel);
  const auto added = [](ref::Vector values) {
    for (double& value : values) value += 1;
    return values;
  };
  expect_agreement("dcontent_bias", dcontent.values(), added(gradient.dcontent_bias));
  expect_agreement("dposition_bias", dposition.values(), added(gradient.dposition_bias));
  expect_agreement("dsegment_bias", dsegment.values(), added(gradient.dsegment_bias));
  expect_agreement("dsegment_embedding", dembedding.values(), added(gradient.dsegment_embedding));
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (DType dtype : {DType::f64, DType::f32}) {
    for (bool pooled : {false, true}) {
      for (int64_t keys : {1, 2, 31, 64, 65, 129}) {
        if (pooled && keys == 1) continue;
        Case c{.keys = keys, .pooled = pooled, .dtype = dtype};
        c.batch = keys > 64 ? 1 : 2;
        cases.push_back(c);
        c.dropout = true;
        cases.push_back(c);
      }
      Case c{.keys = 33, .head_width = 16, .heads = 3, .pooled = pooled, .dtype = dtype};
      cases.push_back(c);
      c.cls_mask = false;
      c.dropout = true;
      cases.push_back(c);
      c.segments = false;
      cases.push_back(c);
      c.hidden = false;
      cases.push_back(c);
      c.cls_mask = true;
      cases.push_back(c);
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, RelativeAttentionTest, ::testing::ValuesIn(all_cases()));

// The penalty of a hidden key shifts every score alike, so that it changes nothing.
TEST(RelativeAttention, AllKeysHiddenIsAsNoneHidden) {
  for (DType dtype : {DType::f32, DType::f64}) {
    const Case c{.keys = 9, .hidden = false, .dtype = dtype};
    const ref::RelativeAttention a = problem(c);
    Problem p(c, a);
    Context context(Device::cpu);
    const OwnedTensor attended(p.in.q.shape(), dtype), seen(p.in.q.shape(), dtype);
    const OwnedTensor normaliser({c.batch, c.heads, c.keys}, dtype);
    relative_attention_forward(context,
                               {.in = p.in, .context = seen, .log_normaliser = normaliser});
    const std::vector<double> seen_normaliser = normaliser.values();
    const OwnedTensor all_hidden({c.batch, c.keys}, DType::u8,
                                 std::vector<double>(c.batch * c.keys, 1.0));
    p.in.hidden = all_hidden;
    relative_attention_forward(context,
                               {.in = p.in, .context = attended, .log_normaliser = normaliser});
    EXPECT_EQ(attended.values(), seen.values());
    // Backward makes the probabilities from it.
    EXPECT_EQ(normaliser.values(), seen_normaliser);
  }
}

TEST(RelativeAttention, RefusesOtherShapes) {
  const Case c{.keys = 5};
  const ref::RelativeAttention a = problem(c);
  const Problem p(c, a);
  Context context(Device::cpu);
  const OwnedTensor attended(p.in.q.shape(), c.dtype);
  const OwnedTensor normaliser({c.batch, c.heads, c.keys}, c.dtype);
  AttentionInputs in = p.in;
  in.shift = 2;  // would need more position rows than there are
  EXPECT_THROW(relative_attention_forward(
                   context, {.in = in, .context = attended, .log_normaliser = normaliser}),
               Error);
  in = p.in;
  in.k_segments = {};
  EXPECT_THROW(relative_attention_forward(
                   context, {.in = in, .context = attended, .log_normaliser = normaliser}),
               Error);
}

}  // namespace
}  // namespace funnel::testing
