// SPDX-License-Identifier: Apache-2.0
// The fused kernels against two oracles: tests/reference/attention.h in double, and the
// materialised path in f32 on the CPU, which takes the very numbers that the kernels take. Lengths
// around the kernels' tiles of 64; within one sequence, and from pooled queries to unpooled keys.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include "core/ops/attention_paths.h"
#include "tests/ops/attention_results.h"
#include "tests/ops/relative_attention_problem.h"

namespace funnel::testing {
namespace {

using Case = AttentionCase;

// What bf16 operands and probabilities may cost.
constexpr double kForwardError = 1e-2, kBackwardError = 2e-2;

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value * value;
  return std::sqrt(sum);
}

// |actual - expected| <= bound |expected|, in the Euclidean norm. Numbers below 0.3 in the mean of
// squares count as that large: where rows of gradients of scores cancel, what is left of them is
// small, and what rounding them has cost is not.
void expect_near(const std::string& what, const std::vector<double>& actual,
                 const std::vector<double>& expected, double bound) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  std::vector<double> error(actual.size());
  for (size_t i = 0; i < error.size(); ++i) error[i] = actual[i] - expected[i];
  const double least = 0.3 * std::sqrt(static_cast<double>(expected.size()));
  const double relative = norm(error) / std::max(norm(expected), least);
  EXPECT_LE(relative, bound) << what << ", of norm " << norm(expected);
  ::testing::Test::RecordProperty(what, std::to_string(relative));
}

// The same inputs for the CPU, as f32.
class Twin {
 public:
  explicit Twin(const AttentionInputs& in) : inputs(in) {
    for (ConstTensor* tensor :
         {&inputs.q, &inputs.k, &inputs.v, &inputs.r, &inputs.content_bias, &inputs.position_bias,
          &inputs.segment_bias, &inputs.segment_embedding}) {
      move(*tensor, DType::f32);
    }
    for (ConstTensor* tensor : {&inputs.q_segments, &inputs.k_segments, &inputs.hidden}) {
      if (*tensor) move(*tensor, DType::u8);
    }
  }
  AttentionInputs inputs;

 private:
  void move(ConstTensor& tensor, DType dtype) {
    kept_.emplace_back(tensor.shape(), dtype, values_of(tensor), Device::cpu);
    tensor = kept_.back();
  }
  std::deque<OwnedTensor> kept_;
};

class FusedAttentionTest : public ::testing::TestWithParam<Case> {};

TEST_P(FusedAttentionTest, ForwardAgreesWithTheReference) {
  const Case& c = GetParam();
  const ref::RelativeAttention a = reference_problem(c);
  const AttentionProblem p(c, a);
  const AttentionResults found(p.in, DType::bf16, device_under_test());
  ASSERT_TRUE(fused_attention_takes(p.in, extents_of(p.in)));
  attention_forward_fused(context_under_test(), found.forward(p.in), extents_of(p.in));
  const ref::AttentionOutput expected = ref::attention_forward(a);
  expect_near("context", found.context.values(), expected.context, kForwardError);
  expect_near("log_normaliser", found.normaliser.values(),
              ref::logsumexp(expected.scores, c.batch * c.heads * c.queries(), c.keys),
              kForwardError);
}

TEST_P(FusedAttentionTest, BackwardAgreesWithTheMaterialisedPath) {
  const Case& c = GetParam();
  const AttentionProblem p(c, reference_problem(c));
  const OwnedTensor dcontext(p.in.q.shape(), DType::bf16, random_values(p.in.q.elements(), 12));
  const AttentionResults found(p.in, DType::bf16, device_under_test());
  attention_forward_fused(context_under_test(), found.forward(p.in), extents_of(p.in));
  attention_backward_fused(context_under_test(), found.backward(p.in, dcontext), extents_of(p.in));

  Context cpu(Device::cpu);
  const Twin twin(p.in);
  const OwnedTensor same(p.in.q.shape(), DType::f32, dcontext.values(), Device::cpu);
  const AttentionResults expected(p.in, DType::f32, Device::cpu);
  attention_forward_materialised(cpu, expected.forward(twin.inputs), extents_of(p.in));
  attention_backward_materialised(cpu, expected.backward(twin.inputs, same), extents_of(p.in));
  expect_near("context", found.context.values(), expected.context.values(), kForwardError);
  const auto of = found.gradients(), to = expected.gradients();
  for (size_t i = 0; i < of.size(); ++i) {
    expect_near(of[i].first, of[i].second, to[i].second, kBackwardError);
  }
  const std::vector<double> dr = found.dr.values();
  for (int64_t i = 0; i < c.shift() * c.all(); ++i) {
    ASSERT_EQ(dr[i], 0) << "no pair reads the first rows";
  }
}

TEST(FusedAttention, IsWhatTheOpTakes) {
  const Case c{.keys = 5, .head_width = 64, .dtype = DType::bf16};
  AttentionProblem p(c, reference_problem(c));
  const AttentionResults fused(p.in, DType::bf16, device_under_test());
  const AttentionResults op(p.in, DType::bf16, device_under_test());
  attention_forward_fused(context_under_test(), fused.forward(p.in), extents_of(p.in));
  relative_attention_forward(context_under_test(), op.forward(p.in));
  EXPECT_EQ(op.context.values(), fused.context.values());
  p.in.shift = 3;
  EXPECT_FALSE(fused_attention_takes(p.in, extents_of(p.in)));
}

// No sum depends on the order in which blocks of threads run.
TEST(FusedAttention, BackwardRepeatsItsBits) {
  const Case c{.keys = 70, .head_width = 64, .batch = 3, .dropout = true, .dtype = DType::bf16};
  const AttentionProblem p(c, reference_problem(c));
  const OwnedTensor dcontext(p.in.q.shape(), DType::bf16, random_values(p.in.q.elements(), 12));
  std::vector<std::vector<std::pair<std::string, std::vector<double>>>> runs;
  for (int run = 0; run < 2; ++run) {
    const AttentionResults found(p.in, DType::bf16, device_under_test());
    attention_forward_fused(context_under_test(), found.forward(p.in), extents_of(p.in));
    attention_backward_fused(context_under_test(), found.backward(p.in, dcontext),
                             extents_of(p.in));
    runs.push_back(found.gradients());
  }
  EXPECT_EQ(runs[0], runs[1]);
}

// Numbers of [batch, …], the examples in reverse order.
std::vector<double> reversed(const std::vector<double>& values, int64_t batch) {
  const auto each = static_cast<int64_t>(values.size()) / batch;
  std::vector<double> result;
  for (int64_t b = batch - 1; b >= 0; --b) {
    result.insert(result.end(), values.begin() + b * each, values.begin() + (b + 1) * each);
  }
  return result;
}

TEST(FusedAttention, AnExamplesBitsDoNotDependOnItsPlace) {
  const Case c{.keys = 70, .head_width = 64, .batch = 3, .dtype = DType::bf16};
  const AttentionProblem p(c, reference_problem(c));
  const OwnedTensor dcontext(p.in.q.shape(), DType::bf16, random_values(p.in.q.elements(), 12));
  const auto mirrored = [&](const ConstTensor& tensor) {
    return OwnedTensor(tensor.shape(), tensor.dtype(), reversed(values_of(tensor), c.batch));
  };
  const OwnedTensor q = mirrored(p.in.q), k = mirrored(p.in.k), v = mirrored(p.in.v);
  const OwnedTensor q_segments = mirrored(p.in.q_segments), k_segments = mirrored(p.in.k_segments);
  const OwnedTensor hidden = mirrored(p.in.hidden), dmirrored = mirrored(dcontext);
  AttentionInputs mirror = p.in;
  mirror.q = q;
  mirror.k = k;
  mirror.v = v;
  mirror.q_segments = q_segments;
  mirror.k_segments = k_segments;
  mirror.hidden = hidden;
  const AttentionResults there(p.in, DType::bf16), here(p.in, DType::bf16);
  attention_forward_fused(context_under_test(), there.forward(p.in), extents_of(p.in));
  attention_backward_fused(context_under_test(), there.backward(p.in, dcontext), extents_of(p.in));
  attention_forward_fused(context_under_test(), here.forward(mirror), extents_of(mirror));
  attention_backward_fused(context_under_test(), here.backward(mirror, dmirrored),
                           extents_of(mirror));
  EXPECT_EQ(here.context.values(), reversed(there.context.values(), c.batch));
  EXPECT_EQ(here.dq.values(), reversed(there.dq.values(), c.batch));
  EXPECT_EQ(here.dk.values(), reversed(there.dk.values(), c.batch));
  EXPECT_EQ(here.dv.values(), reversed(there.dv.values(), c.batch));
}

// The penalty of a hidden key shifts every score alike, so that it changes nothing.
TEST(FusedAttention, AllKeysHiddenIsAsNoneHidden) {
  const Case c{.keys = 70, .head_width = 64, .batch = 1, .hidden = false, .dtype = DType::bf16};
  AttentionProblem p(c, reference_problem(c));
  const AttentionResults seen(p.in, DType::bf16, device_under_test());
  const AttentionResults unseen(p.in, DType::bf16, device_under_test());
  attention_forward_fused(context_under_test(), seen.forward(p.in), extents_of(p.in));
  const OwnedTensor hidden({c.batch, c.keys}, DType::u8, std::vector<double>(c.keys, 1.0));
  p.in.hidden = hidden;
  attention_forward_fused(context_under_test(), unseen.forward(p.in), extents_of(p.in));
  EXPECT_EQ(unseen.context.values(), seen.context.values());
  EXPECT_EQ(unseen.normaliser.values(), seen.normaliser.values());
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (bool pooled : {false, true}) {
    for (int64_t keys : {1, 33, 64, 65, 129}) {
      if (pooled && keys == 1) continue;
      Case c{.keys = keys, .head_width = 64, .pooled = pooled, .dtype = DType::bf16};
      c.batch = keys > 64 ? 1 : 2;
      cases.push_back(c);
      c.dropout = true;
      cases.push_back(c);
    }
    Case c{.keys = 66, .head_width = 64, .heads = 1, .pooled = pooled, .dtype = DType::bf16};
    c.cls_mask = false;
    cases.push_back(c);
    c.segments = false;
    c.dropout = true;
    cases.push_back(c);
    c.hidden = false;
    c.cls_mask = true;
    cases.push_back(c);
    // Long enough for every ring of tiles to come round, with a key for the CLS beside full tiles.
    Case long_one{.keys = 257, .head_width = 64, .heads = 1, .pooled = pooled};
    long_one.batch = 1;
    long_one.dropout = true;
    long_one.dtype = DType::bf16;
    cases.push_back(long_one);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, FusedAttentionTest, ::testing::ValuesIn(all_cases()));

}  // namespace
}  // namespace funnel::testing
