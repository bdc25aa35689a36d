// SPDX-License-Identifier: Apache-2.0
#include "core/ops/matmul.h"

#include "core/backend/matmul.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"

namespace funnel {
namespace {

void check_operand(const char* what, const ConstTensor& tensor, DType dtype, int64_t rows,
                   int64_t cols) {
  FUNNEL_CHECK(tensor.dtype() == dtype, what, ": expected ", name_of(dtype), ", found ",
               name_of(tensor.dtype()));
  FUNNEL_CHECK(tensor.rows() == rows && tensor.cols() == cols, what, ": expected ", rows,
               " rows of ", cols, ", found shape ", tensor.shape());
}

void check_bias(const char* what, const ConstTensor& bias, DType dtype, int64_t cols) {
  if (bias) check_operand(what, bias, dtype, 1, cols);
}

Matmul forward_product(const ConstTensor& x, const ConstTensor& w, const ConstTensor& bias,
                       const Tensor& y) {
  const int64_t in = w.rows(), out = w.cols();
  check_operand("linear_forward: x", x, w.dtype(), x.rows(), in);
  check_bias("linear_forward: bias", bias, w.dtype(), out);
  check_operand("linear_forward: y", y, w.dtype(), x.rows(), out);
  return {.dtype = w.dtype(),
          .c_dtype = w.dtype(),
          .m = x.rows(),
          .n = out,
          .k = in,
          .a = x.data(),
          .lda = in,
          .b = w.data(),
          .ldb = out,
          .c = y.data(),
          .ldc = out,
          .bias = bias.data()};
}

Matmul input_gradient_product(const ConstTensor& dy, const ConstTensor& w, const Tensor& dx,
                              bool accumulate) {
  const int64_t in = w.rows(), out = w.cols();
  check_operand("linear_backward_input: dy", dy, w.dtype(), dy.rows(), out);
  check_operand("linear_backward_input: dx", dx, w.dtype(), dy.rows(), in);
  return {.dtype = w.dtype(),
          .c_dtype = w.dtype(),
          .m = dy.rows(),
          .n = in,
          .k = out,
          .a = dy.data(),
          .lda = out,
          .b = w.data(),
          .ldb = out,
          .transpose_b = true,
          .c = dx.data(),
          .ldc = in,
          .accumulate = accumulate};
}

}  // namespace

void linear_forward(Context& context, ConstTensor x, ConstTensor w, ConstTensor bias, Tensor y) {
  matmul(context, forward_product(x, w, bias, y));
}

void linear_backward_input(Context& context, ConstTensor dy, ConstTensor w, Tensor dx,
                           bool accumulate) {
  matmul(context, input_gradient_product(dy, w, dx, accumulate));
}

void linear_gelu_forward(Context& context, const LinearGeluForward& args) {
  check_shape("linear_gelu_forward: pre", args.pre, args.y.shape());
  Matmul fused = forward_product(args.x, args.w, args.bias, args.y);
  fused.epilogue = Epilogue::gelu;
  fused.pre = args.pre.data();
  if (!args.dropout.active() && fuses(context, fused)) return matmul(context, fused);
  linear_forward(context, args.x, args.w, args.bias, args.pre);
  gelu_forward(context, args.dropout, args.pre, args.y);
}

void linear_gelu_backward(Context& context, const LinearGeluBackward& args) {
  check_shape("linear_gelu_backward: pre", args.pre, args.dpre.shape());
  Matmul fused = input_gradient_product(args.dy, args.w, args.dpre, false);
  fused.epilogue = Epilogue::gelu_gradient;
  fused.pre = const_cast<void*>(args.pre.data());
  if (!args.dropout.active() && fuses(context, fused)) return matmul(context, fused);
  linear_backward_input(context, args.dy, args.w, args.dpre);
  gelu_backward(context, args.dropout, args.pre, args.dpre, args.dpre);
}

void linear_backward_weight(Context& context, ConstTensor x, ConstTensor dy, Tensor dw,
                            Tensor dbias) {
  const int64_t in = x.cols(), out = dy.cols();
  check_operand("linear_backward_weight: dy", dy, x.dtype(), x.rows(), out);
  const DType summed = compute_dtype(x.dtype());
  check_operand("linear_backward_weight: dw", dw, summed, in, out);
  check_bias("linear_backward_weight: dbias", dbias, summed, out);
  matmul(context, {.dtype = x.dtype(),
                   .c_dtype = summed,
                   .m = in,
                   .n = out,
                   .k = x.rows(),
                   .a = x.data(),
                   .lda = in,
                   .transpose_a = true,
                   .b = dy.data(),
                   .ldb = out,
                   .c = dw.data(),
                   .ldc = out,
                   .accumulate = true});
  if (dbias) sum_rows(context, dy, dbias);
}

void tied_forward(Context& context, ConstTensor x, ConstTensor table, ConstTensor bias, Tensor y) {
  const int64_t vocab = table.rows(), width = table.cols();
  check_operand("tied_forward: x", x, table.dtype(), x.rows(), width);
  check_bias("tied_forward: bias", bias, table.dtype(), vocab);
  check_operand("tied_forward: y", y, table.dtype(), x.rows(), vocab);
  matmul(context, {.dtype = table.dtype(),
                   .c_dtype = table.dtype(),
                   .m = x.rows(),
                   .n = vocab,
                   .k = width,
                   .a = x.data(),
                   .lda = width,
                   .b = table.data(),
                   .ldb = width,
                   .transpose_b = true,
                   .c = y.data(),
                   .ldc = vocab,
                   .bias = bias.data()});
}

void tied_backward(Context& context, ConstTensor x, ConstTensor table, ConstTensor dy, Tensor dx,
                   Tensor dtable, Tensor dbias) {
  const int64_t vocab = table.rows(), width = table.cols();
  check_operand("tied_backward: x", x, table.dtype(), x.rows(), width);
  check_operand("tied_backward: dy", dy, table.dtype(), x.rows(), vocab);
  check_operand("tied_backward: dx", dx, table.dtype(), x.rows(), width);
  check_operand("tied_backward: dtable", dtable, compute_dtype(table.dtype()), vocab, width);
  // dx = dy table and dtable += dy^T x are a linear layer's products with the table as weight.
  linear_forward(context, dy, table, {}, dx);
  linear_backward_weight(context, dy, x, dtable, {});
  if (dbias) sum_rows(context, dy, dbias);
}

}  // namespace funnel
