// SPDX-License-Identifier: Apache-2.0
// Oracle: tests/reference/attention.h, which scores every (query, key) pair from the distance of
// their positions, without tables or shifts; all ways to compute it. Lengths around the
// CPU path's block of 64 query rows; within one sequence, and from pooled queries to unpooled keys.
#include "core/ops/relative_attention.h"

#include <gtest/gtest.h>

#include "core/ops/attention_paths.h"
#include "tests/ops/attention_results.h"
#include "tests/ops/relative_attention_problem.h"
#include "tests/support/tolerances.h"

namespace funnel::testing {
namespace {

using Case = AttentionCase;

// A way to compute it.
struct Path {
  const char* name;
  AttentionForward* forward;
  AttentionBackward* backward;
  int64_t group = 0;
};

// Those that the device under test has for a dtype.
std::vector<Path> paths(DType dtype) {
  std::vector<Path> all{
      {"materialised", attention_forward_materialised, attention_backward_materialised},
      {"materialised one by one", attention_forward_materialised, attention_backward_materialised,
       1}};
  if (device_under_test() == Device::cpu && dtype != DType::bf16) {
    all.push_back({"blocked", attention_forward_blocked, attention_backward_blocked});
  }
  return all;
}

class RelativeAttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  // Errors count against the largest element, or against 1 where all are smaller: with a single key
  // to see, the gradient of a score is zero, but its two terms are not.
  static void expect_agreement(const std::string& what, std::vector<double> actual,
                               std::vector<double> expected) {
    actual.push_back(1);
    expected.push_back(1);
    const DType dtype = GetParam().dtype;
    // In bf16 the rows of the table, the probabilities and the gradients of scores are rounded too.
    const double error = dtype == DType::bf16 ? 2e-2 : dtype == DType::f64 ? 1e-13 : 1e-5;
    expect_close(what, actual, expected, Tolerance{0, error});
  }
};

ref::Vector plus_one(ref::Vector values) {
  for (double& value : values) value += 1;
  return values;
}

TEST_P(RelativeAttentionTest, ForwardAgreesWithTheReference) {
  const Case& c = GetParam();
  const ref::RelativeAttention a = reference_problem(c);
  const AttentionProblem p(c, a);
  const ref::AttentionOutput expected = ref::attention_forward(a);
  for (const Path& path : paths(c.dtype)) {
    SCOPED_TRACE(path.name);
    const AttentionResults found(p.in, c.dtype);
    Context& device = context_under_test();
    path.forward(device, found.forward(p.in), extents_of(p.in, path.group));
    expect_agreement("context", found.context.values(), expected.context);
    expect_agreement("log_normaliser", found.normaliser.values(),
                     ref::logsumexp(expected.scores, c.batch * c.heads * c.queries(), c.keys));
  }
}

TEST_P(RelativeAttentionTest, BackwardAgreesWithTheReference) {
  const Case& c = GetParam();
  const ref::RelativeAttention a = reference_problem(c);
  const AttentionProblem p(c, a);
  const std::vector<double> dcontext = random_values(p.in.q.elements(), 12);
  const ref::AttentionGradient expected =
      ref::attention_backward(a, ref::attention_forward(a), dcontext);
  for (const Path& path : paths(c.dtype)) {
    SCOPED_TRACE(path.name);
    const AttentionResults found(p.in, c.dtype);
    Context& device = context_under_test();
    path.forward(device, found.forward(p.in), extents_of(p.in, path.group));
    const OwnedTensor doutput(p.in.q.shape(), c.dtype, dcontext);
    path.backward(device, found.backward(p.in, doutput), extents_of(p.in, path.group));
    expect_agreement("dq", found.dq.values(), expected.dq);
    expect_agreement("dk", found.dk.values(), expected.dk);
    expect_agreement("dv", found.dv.values(), expected.dv);
    expect_agreement("dcontent_bias", found.dcontent.values(), plus_one(expected.dcontent_bias));
    expect_agreement("dposition_bias", found.dposition.values(), plus_one(expected.dposition_bias));
    expect_agreement("dsegment_bias", found.dsegment.values(), plus_one(expected.dsegment_bias));
    expect_agreement("dsegment_embedding", found.dembedding.values(),
                     plus_one(expected.dsegment_embedding));

    const std::vector<double> dr = found.dr.values();
    for (int64_t i = 0; i < c.shift() * c.all(); ++i) {
      ASSERT_EQ(dr[i], 0) << "no pair reads the first rows";
    }
    // The gradient of W_r is the table's transpose times that of the table's projected rows.
    const int64_t rows = p.in.r.shape()[0];
    expect_agreement("dr",
                     ref::matmul(ref::transpose(p.table, rows, kWidth), dr, kWidth, c.all(), rows),
                     expected.dposition_kernel);
  }
}

// Beside it lie sums over rows, and what an arena loses at the ends of its chunks.
TEST(RelativeAttention, TakesTheScratchMemoryThatItSays) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    const Case c{.keys = 129, .head_width = 16, .heads = 3, .pooled = true, .dtype = dtype};
    const AttentionProblem p(c, reference_problem(c));
    const int64_t said = attention_scratch_bytes(dtype, c.shift(), extents_of(p.in));
    const int64_t taken = backward_scratch_bytes(p.in, dtype, attention_forward_materialised,
                                                 attention_backward_materialised);
    EXPECT_GE(taken, said) << name_of(dtype);
    EXPECT_LE(taken, said + said / 5) << name_of(dtype);
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (DType dtype : {DType::f64, DType::f32, DType::bf16}) {
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
    for (const Path& path : paths(dtype)) {
      const Case c{.keys = 9, .hidden = false, .dtype = dtype};
      const ref::RelativeAttention a = reference_problem(c);
      AttentionProblem p(c, a);
      Context& context = context_under_test();
      const AttentionResults seen(p.in, dtype), unseen(p.in, dtype);
      path.forward(context, seen.forward(p.in), extents_of(p.in, path.group));
      const OwnedTensor all_hidden({c.batch, c.keys}, DType::u8,
                                   std::vector<double>(c.batch * c.keys, 1.0));
      p.in.hidden = all_hidden;
      path.forward(context, unseen.forward(p.in), extents_of(p.in, path.group));
      EXPECT_EQ(unseen.context.values(), seen.context.values());
      // Backward makes the probabilities from it.
      EXPECT_EQ(unseen.normaliser.values(), seen.normaliser.values());
    }
  }
}

TEST(RelativeAttention, RefusesOtherShapes) {
  const Case c{.keys = 5};
  const ref::RelativeAttention a = reference_problem(c);
  const AttentionProblem p(c, a);
  Context& context = context_under_test();
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
