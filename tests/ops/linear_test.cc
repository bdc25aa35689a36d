// SPDX-License-Identifier: Apache-2.0
// Oracles: the double references of tests/reference/matrix.h, and central differences.
#include <gtest/gtest.h>

#include "core/backend/matmul.h"
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

  const DType summed = compute_dtype(dtype);
  const OwnedTensor dw = random_tensor({in, out}, summed, 5);
  const OwnedTensor dbias = random_tensor({out}, summed, 6);
  const std::vector<double> dw_before = dw.values(), dbias_before = dbias.values();
  linear_backward_weight(context, x, dy, dw, dbias);
  const Tolerance of_sums = tolerance_of(summed, Kind::product);
  expect_close("dw", dw.values(), ref::add(dw_before, expected.dkernel), of_sums);
  expect_close("dbias", dbias.values(), ref::add(dbias_before, expected.dbias), of_sums);
}

// Sizes and dropout decide whether a device joins the GELU to the product.
TEST_P(Linear, WithGeluMatchesReference) {
  const OwnedTensor x = random_tensor({rows, in}, dtype, 1), w = random_tensor({in, out}, dtype, 2);
  const OwnedTensor bias = random_tensor({out}, dtype, 3), dy = random_tensor({rows, in}, dtype, 4);
  const OwnedTensor w_next = random_tensor({out, in}, dtype, 5);
  const OwnedTensor pre({rows, out}, dtype), y({rows, out}, dtype), dpre({rows, out}, dtype);
  for (const Dropout& dropout : {Dropout(), Dropout(0.25, RandomStream(5, Site("gelu"), 3), 0)}) {
    std::vector<double> factors;
    for (int64_t i = 0; i < rows * out; ++i) factors.push_back(dropout.factor(i));
    for (const bool has_bias : {false, true}) {
      const std::vector<double> biases = has_bias ? bias.values() : std::vector<double>();
      const std::vector<double> expected =
          ref::linear_forward(x.values(), w.values(), biases, rows, in, out);
      linear_gelu_forward(context, {.x = x,
                                    .w = w,
                                    .bias = has_bias ? bias : ConstTensor(),
                                    .dropout = dropout,
                                    .pre = pre,
                                    .y = y});
      expect_close("pre", pre.values(), expected, tolerance);
      expect_close("y", y.values(), ref::multiply(ref::gelu_forward(expected), factors), tolerance);
    }
    linear_gelu_backward(context,
                         {.dy = dy, .w = w_next, .pre = pre, .dropout = dropout, .dpre = dpre});
    const std::vector<double> active(rows * out);
    const std::vector<double> dactive =
        ref::linear_backward(dy.values(), active, w_next.values(), rows, out, in).dx;
    expect_close("dpre", dpre.values(),
                 ref::multiply(ref::gelu_backward(dactive, pre.values()), factors), tolerance);
  }
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
  const DType summed = compute_dtype(dtype);
  const OwnedTensor dtable = random_tensor({vocab, width}, summed, 5);
  const OwnedTensor dbias = random_tensor({vocab}, summed, 6);
  const std::vector<double> dtable_before = dtable.values(), dbias_before = dbias.values();
  tied_backward(context, x, table, dy, dx, dtable, dbias);
  expect_close("dx", dx.values(), expected.dx, tolerance);
  expect_close("dtable", dtable.values(),
               ref::add(dtable_before, ref::transpose(expected.dkernel, width, vocab)),
               tolerance_of(summed, Kind::product));
  expect_close("dbias", dbias.values(), ref::add(dbias_before, expected.dbias),
               tolerance_of(summed, Kind::product));
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, Linear,
    ::testing::Combine(::testing::Values(DType::f32, DType::f64, DType::bf16),
                       ::testing::Values(Sizes{1, 1, 1}, Sizes{1, 33, 31}, Sizes{31, 1, 33},
                                         Sizes{33, 31, 1}, Sizes{33, 65, 127}, Sizes{33, 40, 64})));

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

TEST(Linear, ADeviceJoinsGeluToProductsOfBf16) {
  const OwnedTensor x({33, 40}, DType::bf16), w({40, 64}, DType::bf16), y({33, 64}, DType::bf16);
  const OwnedTensor pre({33, 64}, DType::bf16);
  Matmul args{.dtype = DType::bf16,
              .c_dtype = DType::bf16,
              .m = 33,
              .n = 64,
              .k = 40,
              .a = x.tensor().data(),
              .lda = 40,
              .b = w.tensor().data(),
              .ldb = 64,
              .c = y.tensor().data(),
              .ldc = 64,
              .epilogue = Epilogue::gelu,
              .pre = pre.tensor().data()};
  Context& context = context_under_test();
  const bool is_cuda = device_under_test() == Device::cuda;
  EXPECT_EQ(fuses(context, args), is_cuda);
  args.epilogue = Epilogue::gelu_gradient;
  EXPECT_EQ(fuses(context, args), is_cuda);
  args.n = 61;  // its rows are not a multiple of 16 bytes apart
  args.ldc = 61;
  EXPECT_FALSE(fuses(context, args));
  EXPECT_THROW(matmul(context, args), Error);
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
