// SPDX-License-Identifier: Apache-2.0
// The fused kernels against two oracles: tests/reference/attention.h in double, and the
// materialised path in f32 on the CPU, which takes the very numbers that the kernels take. Lengths
// around the kernels' tiles of 64; within one sequence, and from pooled queries to unpooled keys.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <memory>

#include "core/ops/attention_paths.h"
#include "core/ops/fused_attention/problem.h"
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
  ASSERT_TRUE(fused_attention_takes(p.in.q.device(), p.in.q.dtype(), p.in.shift, extents_of(p.in)));
  attention_forward_fused(context_under_test(), found.forward(p.in), extents_of(p.in));
  const ref::AttentionOutput expected = ref::attention_forward(a);
  expect_near("context", found.context.values(), expected.context, kForwardError);
  expect_near("log_normaliser", found.normaliser.values(),
              ref::logsumexp(expected.scores, c.batch * c.heads * c.queries(), c.keys),
              kForwardError);
}

// A problem, forward and backward, by the kernels and by the materialised path on the CPU.
class Backward {
 public:
  explicit Backward(const Case& c)
      : p_(c, reference_problem(c)),
        dcontext_(p_.in.q.shape(), DType::bf16, random_values(p_.in.q.elements(), 12)) {}

  // `group`: examples whose gradients of the table a block of threads sums; 0: the kernel chooses.
  std::unique_ptr<AttentionResults> fused(int64_t group = 0) const {
    auto found = std::make_unique<AttentionResults>(p_.in, DType::bf16, device_under_test());
    attention_forward_fused(context_under_test(), found->forward(p_.in), extents_of(p_.in));
    attention_backward_fused(context_under_test(), found->backward(p_.in, dcontext_),
                             extents_of(p_.in, group));
    return found;
  }
  std::unique_ptr<AttentionResults> on_the_cpu() const {
    Context cpu(Device::cpu);
    const Twin twin(p_.in);
    const OwnedTensor same(p_.in.q.shape(), DType::f32, dcontext_.values(), Device::cpu);
    auto expected = std::make_unique<AttentionResults>(p_.in, DType::f32, Device::cpu);
    attention_forward_materialised(cpu, expected->forward(twin.inputs), extents_of(p_.in));
    attention_backward_materialised(cpu, expected->backward(twin.inputs, same), extents_of(p_.in));
    return expected;
  }

 private:
  AttentionProblem p_;
  OwnedTensor dcontext_;
};

TEST_P(FusedAttentionTest, BackwardAgreesWithTheMaterialisedPath) {
  const Case& c = GetParam();
  const Backward problem(c);
  const auto found = problem.fused(), expected = problem.on_the_cpu();
  expect_near("context", found->context.values(), expected->context.values(), kForwardError);
  const auto of = found->gradients(), to = expected->gradients();
  for (size_t i = 0; i < of.size(); ++i) {
    expect_near(of[i].first, of[i].second, to[i].second, kBackwardError);
  }
  const std::vector<double> dr = found->dr.values();
  for (int64_t i = 0; i < c.shift() * c.all(); ++i) {
    ASSERT_EQ(dr[i], 0) << "no pair reads the first rows";
  }
}

int table_groups(const Case& c, int64_t group) {
  fused::Problem p{};
  p.batch = static_cast<int>(c.batch);
  p.q_len = static_cast<int>(c.queries());
  p.k_len = static_cast<int>(c.keys);
  p.heads = static_cast<int>(c.heads);
  p.shift = static_cast<int>(c.shift());
  p.table_group = static_cast<int>(group);
  return fused::table_groups_of(p);
}

struct Grouping {
  int64_t keys, batch, group;
  int groups;
};

// Blocks of threads that go through several examples, the last of them with fewer or more where
// some remain. The gradient of the table is the CPU's, and that of one example a block but for the
// order of f32 sums; every other gradient is the same to the last bit.
TEST(FusedAttention, AGroupOfExamplesSharesTheSumsOfTheTable) {
  // At the size of a base model the kernel itself makes such groups: of 21 and 22 examples.
  EXPECT_EQ(table_groups({.keys = 512, .head_width = 64, .heads = 12, .batch = 64}, 0), 3);
  EXPECT_EQ(table_groups({.keys = 5, .head_width = 64, .heads = 1, .batch = 3}, 0), 3);
  for (const bool pooled : {false, true}) {
    for (const Grouping& g : {Grouping{7, 5, 2, 3}, {7, 5, 3, 2}, {65, 5, 2, 3}, {130, 3, 3, 1}}) {
      Case c{.keys = g.keys, .head_width = 64, .heads = 1, .batch = g.batch, .pooled = pooled};
      c.dtype = DType::bf16;
      c.dropout = g.group == 2;
      SCOPED_TRACE(::testing::PrintToString(c) + " in groups of " + std::to_string(g.group));
      ASSERT_EQ(table_groups(c, g.group), g.groups);
      const Backward problem(c);
      const auto of = problem.fused(g.group)->gradients(), to = problem.fused(1)->gradients();
      for (size_t i = 0; i < of.size(); ++i) {
        if (of[i].first == "dr") continue;
        EXPECT_EQ(of[i].second, to[i].second) << of[i].first;
      }
      expect_near("dr", of[3].second, to[3].second, 1e-3);
      expect_near("dr", of[3].second, problem.on_the_cpu()->dr.values(), kBackwardError);
    }
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
  EXPECT_FALSE(
      fused_attention_takes(p.in.q.device(), p.in.q.dtype(), p.in.shift, extents_of(p.in)));
}

// No sum depends on the order in which blocks of threads run.
TEST(FusedAttention, BackwardRepeatsItsBits) {
  const Case c{.keys = 70, .head_width = 64, .batch = 3, .dropout = true, .dtype = DType::bf16};
  const Backward problem(c);
  EXPECT_EQ(problem.fused()->gradients(), problem.fused()->gradients());
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

// A first chunk of 1 MiB of the arena is too small for the parts of the table, and stays.
TEST(FusedAttention, TakesTheScratchMemoryThatItSays) {
  const Case c{.keys = 129, .head_width = 64, .batch = 3, .pooled = true, .dtype = DType::bf16};
  const AttentionProblem p(c, reference_problem(c));
  const int64_t said = attention_scratch_bytes(DType::bf16, c.shift(), extents_of(p.in));
  const int64_t taken =
      backward_scratch_bytes(p.in, DType::bf16, attention_forward_fused, attention_backward_fused);
  EXPECT_GE(taken, said);
  EXPECT_LE(taken, said + said / 5 + (int64_t{1} << 20));
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
