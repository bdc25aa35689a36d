// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/matrix.h, and central differences.
#include <gtest/gtest.h>

#include "core/ops/matmul.h"
#include "tests/reference/pointwise.h"
#include "tests/support/gradient_check.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

struct Sizes {
  int64_t rows, in, out;
};

class Linear : public ::testing::TestWithParam<std::tuple<DType, Sizes>> {
 protected:
  const DType dtype = std::get<0>(GetParam());
  const int64_t rows = std::get<1>(GetParam()).rows;
  const int64_t in = std::get<1>(GetParam()).in;
  const int64_t out = std::get<1>(GetParam()).out;
  const Tolerance tolerance = tolerance_of(dtype, Kind::product);
  Context& context = context_under_test();
};

TEST_P(Linear, MatchesReference) {
  const OwnedTensor x = random_tensor({rows, in}, dtype, 1), w = random_tensor({in, out}, dtype, 2);
  const OwnedTensor bias = random_tensor({out}, dtype, 3),
                    dy = random_tensor({rows, out}, dtype, 4);
  const OwnedTensor y({rows, out}, dtype), dx({rows, in}, dtype);
  linear_forward(context, x, w, bias, y);
  expect_close("y", y.values(),
               ref::linear_forward(x.values(), w.values(), bias.values(), rows, in, out),
               tolerance);
  linear_forward(context, x, w, {}, y);
  expect_close("y without bias", y.values(),
               ref::linear_forward(x.values(), w.values(), {}, rows, in, out), tolerance);

  const ref::LinearGradient expected =
      ref::linear_backward(dy.values(), x.values(), w.values(), rows, in, out);
  linear_backward_input(context, dy, w, dx);
  expect_close("dx", dx.values(), expected.dx, tolerance);
  linear_backward_input(context, dy, w, dx, true);
  expect_close("dx accumulated", dx.values(), ref::add(expected.dx, expected.dx), tolerance);

  const OwnedTensor dw = random_tensor({in, out}, dtype, 5), dbias = random_tensor({out}, dtype, 6);
  const std::vector<double> dw_before = dw.values(), dbias_before = dbias.values();
  linear_backward_weight(context, x, dy, dw, dbias);
  expect_close("dw", dw.values(), ref::add(dw_before, expected.dkernel), tolerance);
  expect_close("dbias", dbias.values(), ref::add(dbias_before, expected.dbias), tolerance);
}

TEST_P(Linear, TiedMatchesReference) {
  const int64_t width = in, vocab = out;
  const OwnedTensor x = random_tensor({rows, width}, dtype, 1);
  const OwnedTensor table = random_tensor({vocab, width}, dtype, 2);
  const OwnedTensor bias = random_tensor({vocab}, dtype, 3);
  const OwnedTensor dy = random_tensor({rows, vocab}, dtype, 4);
  const OwnedTensor y({rows, vocab}, dtype), dx({rows, width}, dtype);
  const std::vector<double> kernel = ref::transpose(table.values(), vocab, width);
  tied_forward(context, x, table, bias, y);
  expect_close("y", y.values(),
               ref::linear_forward(x.values(), kernel, bias.values(), rows, width, vocab),
               tolerance);

  const ref::LinearGradient expected =
      ref::linear_backward(dy.values(), x.values(), kernel, rows, width, vocab);
  const OwnedTensor dtable = random_tensor({vocab, width}, dtype, 5);
  const OwnedTensor dbias = random_tensor({vocab}, dtype, 6);
  const std::vector<double> dtable_before = dtable.values(), dbias_before = dbias.values();
  tied_backward(context, x, table, dy, dx, dtable, dbias);
  expect_close("dx", dx.values(), expected.dx, tolerance);
  expect_close("dtable", dtable.values(),
               ref::add(dtable_before, ref::transpose(expected.dkernel, width, vocab)), tolerance);
  expect_close("dbias", dbias.values(), ref::add(dbias_before, expected.dbias), tolerance);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Linear,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64),
                                            ::testing::Values(Sizes{1, 1, 1}, Sizes{1, 33, 31},
                                                              Sizes{31, 1, 33}, Sizes{33, 31, 1},
                                                              Sizes{33, 65, 127})));

TEST(Linear, BackwardIsTheDerivative) {
  Context& context = context_under_test();
  const OwnedTensor x = random_tensor({2, 3, 4}, DType::f64, 1);
  const OwnedTensor w = random_tensor({4, 5}, DType::f64, 2);
  const OwnedTensor bias = random_tensor({5}, DType::f64, 3);
  const OwnedTensor y({2, 3, 5}, DType::f64), dx({2, 3, 4}, DType::f64);
  const OwnedTensor dw = zero_tensor({4, 5}, DType::f64), dbias = zero_tensor({5}, DType::f64);
  const Functional functional(y.tensor().shape(), 4);
  linear_backward_input(context, functional.gradient(), w, dx);
  linear_backward_weight(context, x, functional.gradient(), dw, dbias);
  const auto forward = [&] {
    linear_forward(context, x, w, bias, y);
    return functional.of(y);
  };
  check_gradients(forward, {{"x", x, dx}, {"w", w, dw}, {"bias", bias, dbias}});
}

TEST(Linear, TiedBackwardIsTheDerivative) {
  Context& context = context_under_test();
  const OwnedTensor x = random_tensor({3, 4}, DType::f64, 1);
  const OwnedTensor table = random_tensor({7, 4}, DType::f64, 2);
  const OwnedTensor bias = random_tensor({7}, DType::f64, 3);
  const OwnedTensor y({3, 7}, DType::f64), dx({3, 4}, DType::f64);
  const OwnedTensor dtable = zero_tensor({7, 4}, DType::f64), dbias = zero_tensor({7}, DType::f64);
  const Functional functional(y.tensor().shape(), 4);
  tied_backward(context, x, table, functional.gradient(), dx, dtable, dbias);
  const auto forward = [&] {
    tied_forward(context, x, table, bias, y);
    return functional.of(y);
  };
  check_gradients(forward, {{"x", x, dx}, {"table", table, dtable}, {"bias", bias, dbias}});
}

TEST(Linear, WrongShapesAreRefused) {
  Context& context = context_under_test();
  const OwnedTensor x({3, 4}, DType::f32), w({4, 5}, DType::f32), y({3, 5}, DType::f32);
  const OwnedTensor bias({4}, DType::f32), wide({3, 4}, DType::f64);
  EXPECT_THROW(linear_forward(context, y, w, {}, y), Error);
  EXPECT_THROW(linear_forward(context, x, w, bias, y), Error);
  EXPECT_THROW(linear_forward(context, wide, w, {}, y), Error);
  EXPECT_THROW(linear_backward_input(context, x, w, x), Error);
  EXPECT_THROW(linear_backward_weight(context, x, y, y, {}), Error);
  EXPECT_THROW(tied_forward(context, x, w, {}, y), Error);
}

}  // namespace
}  // namespace funnel
