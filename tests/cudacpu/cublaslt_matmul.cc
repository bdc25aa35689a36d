// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "tests/cudacpu/cublaslt_call.h"
#include "tests/cudacpu/cublaslt_operands.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/stream_race.h"

namespace funnel::cudacpu {
namespace {

// An algorithm as the heuristic hands it out.
struct Algorithm {
  uint64_t problem;
  uint64_t workspace;
  uint32_t align[4];
  uint32_t reduction;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

Problem problem_of(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                   cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {*ours<Operation>(operation), *ours<Layout>(a), *ours<Layout>(b), *ours<Layout>(c),
          *ours<Layout>(d)};
}

void check_algorithm(const Algorithm& algorithm, const Problem& problem, const Operands& operands,
                     const void* workspace, size_t workspace_bytes) {
  if (algorithm.problem != fingerprint(problem)) {
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "the algorithm was chosen for another product");
  }
  const void* addresses[] = {operands.a, operands.b, operands.beta != 0 ? operands.c : operands.d,
                             operands.d};
  for (int i = 0; i < 4; ++i) {
    if (reinterpret_cast<uintptr_t>(addresses[i]) % algorithm.align[i] == 0) continue;
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE, concat("the algorithm was chosen for ", "ABCD"[i],
                                                  " aligned to ", algorithm.align[i], " bytes"));
  }
  if (workspace_bytes < algorithm.workspace) {
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE, concat("expected a workspace of ", algorithm.workspace,
                                                  " bytes, found ", workspace_bytes));
  }
  if (algorithm.workspace == 0) return;
  check_device_range("workspace", workspace, static_cast<int64_t>(workspace_bytes));
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "the workspace is not aligned to 256 bytes");
  }
}

double scalar(const void* value, cudaDataType_t type) {
  if (value == nullptr) lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "a null alpha or beta");
  if (type == CUDA_R_64F) return *static_cast<const double*>(value);
  return *static_cast<const float*>(value);
}

// Leaves poison behind: nobody may rely on what a workspace holds.
void spoil(void* workspace, uint64_t bytes) {
  if (bytes == 0) return;
  check_region("cublasLtMatmul", region_of(workspace, static_cast<int64_t>(bytes)), true);
  std::memset(find_allocation(workspace)->at(workspace), kPoison, bytes);
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

size_t cublasLtGetVersion() {
  return CUBLAS_VERSION;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return lt_call("cublasLtCreate",
                 [&](Runtime&) { *handle = reinterpret_cast<cublasLtHandle_t>(new char); });
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<char*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
      return "a cuBLAS status that is not simulated";
  }
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the GPU program failed to execute";
    default:
      return "unknown";
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  *count = 0;
  return lt_call("cublasLtMatmulAlgoGetHeuristic", [&](Runtime&) {
    if (most < 1) lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "no results asked for");
    const Problem problem = problem_of(operation, a, b, c, d);
    try {
      check_problem(problem);
    } catch (Refusal& refusal) {  // asking what is supported is no misuse
      if (refusal.code == static_cast<cudaError_t>(CUBLAS_STATUS_NOT_SUPPORTED)) {
        refusal.misuse.clear();
      }
      throw;
    }
    const Preference& wish = *ours<Preference>(preference);
    const uint64_t workspace = wanted_workspace(problem);
    const uint32_t reduction = wish.reductions & CUBLASLT_REDUCTION_SCHEME_INPLACE;
    // Beside the best another that does without a workspace.
    *count = std::min(most, 2);
    for (int i = 0; i < *count; ++i) {
      const bool works_in_one = i == 0 && workspace <= wish.workspace;
      const Algorithm algorithm{fingerprint(problem),
                                works_in_one ? workspace : 0,
                                {wish.align_a, wish.align_b, wish.align_c, wish.align_d},
                                reduction};
      results[i] = {};
      std::memcpy(&results[i].algo, &algorithm, sizeof(algorithm));
      results[i].workspaceSize = algorithm.workspace;
      results[i].state = CUBLAS_STATUS_SUCCESS;
      results[i].wavesCount = 1;
    }
  });
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, size_t bytes, size_t*) {
  return lt_call("cublasLtMatmulAlgoConfigGetAttribute", [&](Runtime&) {
    if (attribute != CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME || bytes != sizeof(uint32_t)) {
      lt_misuse(CUBLAS_STATUS_INVALID_VALUE, "only the reduction scheme is simulated");
    }
    Algorithm algorithm{};
    std::memcpy(&algorithm, algo, sizeof(algorithm));
    *static_cast<uint32_t*>(value) = algorithm.reduction;
  });
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  return lt_call("cublasLtMatmul", [&](Runtime& runtime) {
    const Problem problem = problem_of(operation, a_layout, b_layout, c_layout, d_layout);
    check_problem(problem);
    const cudaDataType_t scale = problem.operation.scale;
    const Operands operands{a, b, c, d, scalar(alpha, scale), scalar(beta, scale)};
    check_operands(problem, operands);
    Algorithm algorithm{};
    if (algo != nullptr) {
      std::memcpy(&algorithm, algo, sizeof(algorithm));
      check_algorithm(algorithm, problem, operands, workspace, workspace_bytes);
    }
    runtime.enqueue(runtime.stream(stream), [=] {
      if (is_rehearsal()) return true;
      spoil(workspace, algorithm.workspace);
      compute_problem(problem, operands);
      return true;
    });
  });
}

}  // extern "C"
