// SPDX-License-Identifier: Apache-2.0
// Oracles: the plain loops of matmul_reference in double, themselves held to tests/reference. The
// random cases are those on which some version of a tuned library has failed: one row, one column,
// transposed operands, padded rows, batches.
#include "core/backend/matmul.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/reference/matrix.h"
#include "tests/support/random_tensor.h"
#include "tests/support/tolerances.h"

namespace funnel {
namespace {

using namespace funnel::testing;

// A stack of stored matrices somewhere in a larger block of memory.
struct Operand {
  int64_t rows = 0, cols = 0, ld = 0, stride = 0, offset = 0;
  std::vector<double> memory;

  // Is element i of the memory part of a matrix?
  bool covers(int64_t i, int64_t batch) const {
    i -= offset;
    if (i < 0 || (batch > 1 ? i / stride : 0) >= batch) return false;
    if (batch > 1) i %= stride;
    return i / ld < rows && i % ld < cols;
  }
};

// The types of a product and how much one rounding to its result may cost.
struct Types {
  DType in, out;
  double rounding() const { return out == DType::bf16 ? 0x1p-8 : 0; }
};

class MatmulFuzz {
 public:
  explicit MatmulFuzz(uint64_t seed, Types types = {DType::f32, DType::f32})
      : generator_(seed), types_(types) {
    batch_ = draw(0, 2) == 0 ? draw(2, 4) : 1;
    m_ = size();
    n_ = size();
    k_ = size();
    transpose_a_ = draw(0, 1);
    transpose_b_ = draw(0, 1);
    accumulate_ = draw(0, 1);
    a_ = operand(transpose_a_ ? k_ : m_, transpose_a_ ? m_ : k_);
    b_ = operand(transpose_b_ ? n_ : k_, transpose_b_ ? k_ : n_);
    c_ = operand(m_, n_);
    if (draw(0, 1)) bias_ = round(random_values(n_, generator_()));
  }

  std::string description() const {
    return concat("m ", m_, " n ", n_, " k ", k_, " batch ", batch_, transpose_a_ ? " A^T" : "",
                  transpose_b_ ? " B^T" : "", bias_.empty() ? "" : " bias",
                  accumulate_ ? " accumulate" : "", " lda ", a_.ld, " ldb ", b_.ld, " ldc ", c_.ld);
  }

  // Runs the product and compares it with the reference in double.
  void check(Context& context) {
    const std::vector<double> before = c_.memory;
    const OwnedTensor a = stored(a_.memory, types_.in), b = stored(b_.memory, types_.in);
    const OwnedTensor c = stored(before, types_.out), bias = stored(bias_, types_.out);
    if (!accumulate_) set_covered(c, NAN);
    matmul(context, args(a, b, c, bias));
    const std::vector<double> found = c.values();

    const std::vector<double> exact = reference(before, false);
    const std::vector<double> magnitude = reference(before, true);
    for (size_t i = 0; i < before.size(); ++i) {
      if (!c_.covers(i, batch_)) {
        ASSERT_EQ(found[i], before[i]) << "wrote outside of C, element " << i;
      } else {
        ASSERT_LE(std::abs(found[i] - exact[i]),
                  16 * 0x1p-24 * magnitude[i] + types_.rounding() * std::abs(exact[i]))
            << "element " << i;
      }
    }

    const OwnedTensor again = stored(before, types_.out);
    Context other(device_under_test());
    matmul(other, args(a, b, again, bias));
    other.synchronize();
    ASSERT_TRUE(same_bits(again, stored(found, types_.out))) << "bits of another run";
  }

 private:
  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator_);
  }
  int64_t size() { return draw(0, 4) == 0 ? 1 : draw(1, 90); }

  // Values that every type under test holds exactly.
  std::vector<double> round(std::vector<double> values) const {
    const bool is_bf16 = types_.in == DType::bf16;
    for (double& value : values) {
      const auto f = static_cast<float>(value);
      value = is_bf16 ? float(BFloat16(f)) : f;
    }
    return values;
  }

  Operand operand(int64_t rows, int64_t cols) {
    Operand o{.rows = rows, .cols = cols, .memory = {}};
    o.ld = cols + (draw(0, 1) ? draw(1, 9) : 0);
    o.stride = rows * o.ld + (draw(0, 1) ? draw(1, 50) : 0);
    o.offset = draw(0, 3);
    o.memory = round(random_values(o.offset + batch_ * o.stride + 8, generator_()));
    return o;
  }

  static OwnedTensor stored(const std::vector<double>& values, DType dtype) {
    return OwnedTensor({static_cast<int64_t>(values.size())}, dtype, values);
  }

  void set_covered(const OwnedTensor& c, double value) {
    std::vector<double> values = c.values();
    for (size_t i = 0; i < values.size(); ++i) {
      if (c_.covers(static_cast<int64_t>(i), batch_)) values[i] = value;
    }
    set_values(c, values);
  }

  Matmul args(const ConstTensor& a, const ConstTensor& b, const Tensor& c,
              const ConstTensor& bias) const {
    const auto at = [](const auto& tensor, int64_t offset) {
      return tensor.slice(offset, {tensor.elements() - offset}).data();
    };
    return {.dtype = a.dtype(),
            .c_dtype = c.dtype(),
            .m = m_,
            .n = n_,
            .k = k_,
            .a = at(a, a_.offset),
            .lda = a_.ld,
            .transpose_a = transpose_a_,
            .b = at(b, b_.offset),
            .ldb = b_.ld,
            .transpose_b = transpose_b_,
            .c = at(c, c_.offset),
            .ldc = c_.ld,
            .bias = bias_.empty() ? nullptr : bias.data(),
            .accumulate = accumulate_,
            .batch = batch_,
            .stride_a = a_.stride,
            .stride_b = b_.stride,
            .stride_c = c_.stride};
  }

  // The product in double; of absolute values, the magnitude that rounding errors are relative to.
  std::vector<double> reference(std::vector<double> before, bool absolute) const {
    const auto prepared = [&](std::vector<double> values) {
      for (double& value : values) value = absolute ? std::abs(value) : value;
      const int64_t n = static_cast<int64_t>(values.size());
      return OwnedTensor({n}, DType::f64, values, Device::cpu);
    };
    const OwnedTensor c = prepared(before);
    matmul_reference(args(prepared(a_.memory), prepared(b_.memory), c, prepared(bias_)));
    return c.values();
  }

  std::mt19937_64 generator_;
  Types types_;
  int64_t batch_, m_, n_, k_;
  bool transpose_a_, transpose_b_, accumulate_;
  Operand a_, b_, c_;
  std::vector<double> bias_;
};

TEST(Matmul, RandomCasesMatchTheReference) {
  Context& context = context_under_test();
  for (uint64_t seed = 0; seed < 300; ++seed) {
    MatmulFuzz fuzz(seed);
    SCOPED_TRACE(concat("seed ", seed, ": ", fuzz.description()));
    fuzz.check(context);
    if (HasFatalFailure()) return;
  }
}

TEST(Matmul, RandomCasesOfBf16MatchTheReference) {
  Context& context = context_under_test();
  for (const DType out : {DType::bf16, DType::f32}) {
    for (uint64_t seed = 300; seed < 400; ++seed) {
      MatmulFuzz fuzz(seed, {DType::bf16, out});
      SCOPED_TRACE(concat("seed ", seed, ", to ", name_of(out), ": ", fuzz.description()));
      fuzz.check(context);
      if (HasFatalFailure()) return;
    }
  }
}

// The shape on which oneDNN 3.7.2 goes wrong: one row, taken from a column.
TEST(Matmul, OneRowFromAColumn) {
  Context& context = context_under_test();
  for (int64_t k : {3, 17, 64, 257}) {
    constexpr int64_t kCols = 33, kLd = 5;
    const OwnedTensor a = random_tensor({k, kLd}, DType::f32, 1);
    const OwnedTensor b = random_tensor({k, kCols}, DType::f32, 2), c({1, kCols}, DType::f32);
    matmul(context, {.m = 1,
                     .n = kCols,
                     .k = k,
                     .a = a.tensor().data(),
                     .lda = kLd,
                     .transpose_a = true,
                     .b = b.tensor().data(),
                     .ldb = kCols,
                     .c = c.tensor().data(),
                     .ldc = kCols});
    std::vector<double> column;
    for (int64_t i = 0; i < k; ++i) column.push_back(a.values()[i * kLd]);
    expect_close("c", c.values(), ref::matmul(column, b.values(), 1, kCols, k),
                 tolerance_of(DType::f32, Kind::product));
  }
}

Matmul dense(const ConstTensor& a, const ConstTensor& b, const Tensor& c) {
  return {.dtype = a.dtype(),
          .c_dtype = c.dtype(),
          .m = a.rows(),
          .n = b.cols(),
          .k = a.cols(),
          .a = a.data(),
          .lda = a.cols(),
          .b = b.data(),
          .ldb = b.cols(),
          .c = c.data(),
          .ldc = b.cols()};
}

TEST(Matmul, DoubleMatchesTheNaiveLoops) {
  Context& context = context_under_test();
  const OwnedTensor a = random_tensor({31, 33}, DType::f64, 1);
  const OwnedTensor b = random_tensor({33, 17}, DType::f64, 2), c({31, 17}, DType::f64);
  matmul(context, dense(a, b, c));
  expect_close("c", c.values(), ref::matmul(a.values(), b.values(), 31, 17, 33),
               tolerance_of(DType::f64, Kind::product));
}

// The bits of a product depend on its shape and values, not on where its operands lie: a resumed
// run, or a rank of another world size, has them elsewhere. (They may depend on the number of rows:
// tuned libraries block the sum over k by shape. Logical shards keep that number fixed. Where the
// algorithm is chosen by the operands' alignment, as on CUDA, runs keep that.)
TEST(Matmul, BitsDoNotDependOnWhereOperandsLie) {
  Context& context = context_under_test();
  for (int64_t width : {64, 256, 768}) {
    constexpr int64_t kRows = 128;
    const OwnedTensor a = random_tensor({kRows, width}, DType::f32, 1);
    const OwnedTensor b = random_tensor({width, width}, DType::f32, 2);
    const OwnedTensor c({kRows, width}, DType::f32);
    matmul(context, dense(a, b, c));
    for (int64_t offset : {1, 8, 64, 100}) {
      const OwnedTensor a_room({kRows * width + offset}, DType::f32);
      const OwnedTensor b_room({width * width + offset}, DType::f32);
      const OwnedTensor c_room({kRows * width + offset}, DType::f32);
      const Tensor a_moved = a_room.tensor().slice(offset, {kRows, width});
      const Tensor b_moved = b_room.tensor().slice(offset, {width, width});
      const Tensor c_moved = c_room.tensor().slice(offset, {kRows, width});
      context.copy(a, a_moved);
      context.copy(b, b_moved);
      matmul(context, dense(a_moved, b_moved, c_moved));
      EXPECT_TRUE(same_bits(c_moved, c)) << "width " << width << ", offset " << offset;
    }
  }
}

TEST(Matmul, NothingToAddUp) {
  Context& context = context_under_test();
  const OwnedTensor c({2, 3}, DType::f32);
  const OwnedTensor bias({3}, DType::f32, {1, 2, 3});
  Matmul args = dense(Tensor(nullptr, {2, 0}, DType::f32), Tensor(nullptr, {0, 3}, DType::f32), c);
  matmul(context, args);
  EXPECT_EQ(c.values(), std::vector<double>(6, 0.0));
  args.bias = bias.tensor().data();
  matmul(context, args);
  EXPECT_EQ(c.values(), (std::vector<double>{1, 2, 3, 1, 2, 3}));
  args.m = 0;
  args.c = nullptr;
  matmul(context, args);
}

TEST(Matmul, ResultsOfOtherTypesAreRefused) {
  Context& context = context_under_test();
  const OwnedTensor a({4, 5}, DType::f32), b({5, 6}, DType::f32), narrow({4, 6}, DType::bf16);
  EXPECT_THROW(matmul(context, dense(a, b, narrow)), Error);
}

TEST(Matmul, RowsMustFitTheirDistance) {
  Context& context = context_under_test();
  const OwnedTensor a({4, 5}, DType::f32), b({5, 6}, DType::f32), c({4, 6}, DType::f32);
  for (int64_t Matmul::*ld : {&Matmul::lda, &Matmul::ldb, &Matmul::ldc}) {
    Matmul args = dense(a, b, c);
    args.*ld -= 1;
    EXPECT_THROW(matmul(context, args), Error);
  }
}

}  // namespace
}  // namespace funnel
