// SPDX-License-Identifier: Apache-2.0
// The one matrix product of the engine: strided, batched, with bias, accumulation and, where a
// backend has it, GELU at its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/backend/context.h"
#include "core/base/types.h"

namespace funnel {

//     C[i] = op(A[i]) op(B[i]) + bias            (accumulate = false: C is overwritten)
//     C[i] = op(A[i]) op(B[i]) + bias + C[i]     (accumulate = true)
// for i in [0, batch), where op(A) is [m, k], op(B) is [k, n] and C is [m, n]. Matrices are
// row-major; `lda` is the distance between stored rows of A (A is stored [k, m] when transposed),
// `stride_a` the distance between A[i] and A[i + 1], both in elements. C must not overlap A or B.
// bf16 is multiplied and added as f32; a result in bf16 is rounded once, when it is written.
//
// A backend may join what follows a product to it; whoever asks for such an epilogue asks fuses()
// first. `pre` lies as C does and has its dtype.
enum class Epilogue : uint8_t {
  none,
  gelu,           // pre[i] = op(A[i]) op(B[i]) + bias, C[i] = gelu(pre[i])
  gelu_gradient,  // C[i] = op(A[i]) op(B[i]) * gelu'(pre[i])
};

struct Matmul {
  DType dtype = DType::f32;    // of A and B: f32, f64 or bf16
  DType c_dtype = DType::f32;  // of C and the bias: dtype, or f32 where that is bf16
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  int64_t lda = 0;
  bool transpose_a = false;
  const void* b = nullptr;
  int64_t ldb = 0;
  bool transpose_b = false;
  void* c = nullptr;
  int64_t ldc = 0;
  const void* bias = nullptr;  // [n] or null
  bool accumulate = false;
  int64_t batch = 1;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;
  Epilogue epilogue = Epilogue::none;
  void* pre = nullptr;
};

void matmul(Context& context, const Matmul& args);

// Whether matmul() takes the epilogue of these arguments. Otherwise it is the caller's to do.
bool fuses(Context& context, const Matmul& args);

// Plain loops in a fixed order; the oracle of the tuned path, and its stand-in for f64.
void matmul_reference(const Matmul& args);

// A backend's cache of prepared products. Operands lie on its device.
class MatmulPrimitives {
 public:
  virtual ~MatmulPrimitives() = default;
  virtual void run(const Matmul& args) = 0;
  virtual bool fuses(const Matmul& args) { return args.epilogue == Epilogue::none; }
  // For measurements: how many ways there are to compute what run() does, `most` at the most; the
  // first is run()'s own. run_way() takes one of them, until the next count.
  virtual int count_ways(const Matmul&, int /*most*/) { return 1; }
  virtual void run_way(const Matmul& args, int /*way*/) { run(args); }
  virtual std::string name() const = 0;  // for the log: which library, which instruction set
};
std::unique_ptr<MatmulPrimitives> make_matmul_primitives();  // of the CPU

}  // namespace funnel
