// SPDX-License-Identifier: Apache-2.0
// A product as cuBLASLt's descriptors describe it, and the checks of it. Between
// cublaslt_descriptors.cc, which keeps descriptors, and cublaslt_operands.cc, which computes.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <string>

#include "tests/cudacpu/gemm.h"

namespace funnel::cudacpu {

// What cublasLtMatrixLayout_t holds.
struct Layout {
  cudaDataType_t type = CUDA_R_32F;
  uint64_t rows = 0, cols = 0;
  int64_t ld = 0;
  int32_t order = CUBLASLT_ORDER_COL;
  int32_t batch = 1;
  int64_t stride = 0;

  bool operator==(const Layout&) const = default;
};

// What cublasLtMatmulDesc_t holds.
struct Operation {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  int32_t bias_type = -1;
  int64_t bias_stride = 0;
  void* aux = nullptr;
  int32_t aux_type = -1;
  int64_t aux_ld = 0, aux_stride = 0;

  bool has(uint32_t part) const { return (epilogue & part) == part; }
  bool uses_aux() const { return has(128); }
  bool has_bias() const { return has(CUBLASLT_EPILOGUE_BIAS); }
  BiasGradient bias_gradient() const;
  Activation activation() const;
};

// What cublasLtMatmulPreference_t holds.
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
};

struct Problem {
  Operation operation;
  Layout a, b, c, d;
};

// Throws Refusal with CUBLAS_STATUS_INVALID_VALUE.
[[noreturn]] void invalid(const std::string& text);

// Throws Refusal with CUBLAS_STATUS_INVALID_VALUE as a misuse for what is inconsistent, with
// CUBLAS_STATUS_NOT_SUPPORTED for a combination that is not in the library's tables.
void check_problem(const Problem& problem);

// A number that tells problems apart that need different algorithms; addresses do not count.
uint64_t fingerprint(const Problem& problem);

// Scratch memory the simulated algorithm wants if it may.
uint64_t wanted_workspace(const Problem& problem);

}  // namespace funnel::cudacpu
