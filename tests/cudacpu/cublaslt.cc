// SPDX-License-Identifier: Apache-2.0
// Stand-in for exactly the cuBLASLt calls that the engine makes. Descriptors are kept as given and
// checked when they are used; the heuristic returns one algorithm, which is bound to its problem,
// alignments and workspace. It shows whether the engine passes the right transposes, strides and
// epilogues, not whether a device's library supports the combination.
#include <cublasLt.h>

#include <bit>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "tests/cudacpu/cublaslt_problem.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/runtime.h"
#include "tests/cudacpu/shadow.h"

namespace funnel::cudacpu {
namespace {

// NVIDIA's opaque structs hold a pointer to ours in their first word.
template <class Ours, class Opaque>
Ours* ours(const Opaque* opaque) {
  if (opaque == nullptr) {
    misuse(static_cast<cudaError_t>(CUBLAS_STATUS_INVALID_VALUE), "a null descriptor");
  }
  return std::bit_cast<Ours*>(opaque->data[0]);
}

template <class Opaque, class Ours>
Opaque* wrap(Ours made) {
  auto* opaque = new Opaque{};
  opaque->data[0] = std::bit_cast<uint64_t>(new Ours(std::move(made)));
  return opaque;
}

template <class Ours, class Opaque>
void destroy(Opaque* opaque) {
  delete ours<Ours>(opaque);
  delete opaque;
}

// An algorithm as the heuristic hands it out.
struct Algorithm {
  uint64_t problem;
  uint64_t workspace;
  uint32_t align[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

[[noreturn]] void fail(cublasStatus_t status, const std::string& text) {
  misuse(static_cast<cudaError_t>(status), text);
}

// The frame of every call: locks and turns refusals into a status.
template <class Body>
cublasStatus_t lt_call(const char* name, Body&& body) {
  if (driver_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  try {
    const Device& device = runtime.device(current_device());
    if (device.broken != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    body(runtime);
    return device.broken == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
  } catch (const Refusal& refusal) {
    if (!refusal.misuse.empty()) report_misuse(name, refusal.misuse);
    const auto status = static_cast<int>(refusal.code);
    const bool of_cublas =
        status == CUBLAS_STATUS_INVALID_VALUE || status == CUBLAS_STATUS_NOT_SUPPORTED;
    return of_cublas ? static_cast<cublasStatus_t>(status) : CUBLAS_STATUS_INVALID_VALUE;
  }
}

template <class T>
void assign(T& field, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) {
    fail(CUBLAS_STATUS_INVALID_VALUE,
         concat("expected a value of ", sizeof(T), " bytes, found ", bytes));
  }
  std::memcpy(&field, value, bytes);
}

void set(Layout& layout, cublasLtMatrixLayoutAttribute_t attribute, const void* value,
         size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return assign(layout.order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return assign(layout.ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return assign(layout.batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return assign(layout.stride, value, bytes);
    default:
      fail(CUBLAS_STATUS_NOT_SUPPORTED, "a layout attribute that is not simulated");
  }
}

void set(Operation& o, cublasLtMatmulDescAttributes_t attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return assign(o.pointer_mode, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(o.transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(o.transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(o.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return assign(o.bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return assign(o.bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
      return assign(o.bias_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return assign(o.aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE:
      return assign(o.aux_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return assign(o.aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
      return assign(o.aux_stride, value, bytes);
    default:
      fail(CUBLAS_STATUS_NOT_SUPPORTED, "an operation attribute that is not simulated");
  }
}

void set(Preference& p, cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
         size_t bytes) {
  uint32_t ignored = 0;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return assign(p.workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return assign(ignored, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return assign(p.align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return assign(p.align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return assign(p.align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return assign(p.align_d, value, bytes);
    default:
      fail(CUBLAS_STATUS_NOT_SUPPORTED, "a preference that is not simulated");
  }
}

Problem problem_of(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                   cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {*ours<Operation>(operation), *ours<Layout>(a), *ours<Layout>(b), *ours<Layout>(c),
          *ours<Layout>(d)};
}

void check_algorithm(const Algorithm& algorithm, const Problem& problem, const Operands& operands,
                     const void* workspace, size_t workspace_bytes) {
  if (algorithm.problem != fingerprint(problem)) {
    fail(CUBLAS_STATUS_INVALID_VALUE, "the algorithm was chosen for another product");
  }
  const void* addresses[] = {operands.a, operands.b, operands.beta != 0 ? operands.c : operands.d,
                             operands.d};
  for (int i = 0; i < 4; ++i) {
    if (reinterpret_cast<uintptr_t>(addresses[i]) % algorithm.align[i] == 0) continue;
    fail(CUBLAS_STATUS_INVALID_VALUE, concat("the algorithm was chosen for ", "ABCD"[i],
                                             " aligned to ", algorithm.align[i], " bytes"));
  }
  if (workspace_bytes < algorithm.workspace) {
    fail(CUBLAS_STATUS_INVALID_VALUE, concat("expected a workspace of ", algorithm.workspace,
                                             " bytes, found ", workspace_bytes));
  }
  if (algorithm.workspace == 0) return;
  check_device_range("workspace", workspace, static_cast<int64_t>(workspace_bytes));
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
    fail(CUBLAS_STATUS_INVALID_VALUE, "the workspace is not aligned to 256 bytes");
  }
}

double scalar(const void* value, cudaDataType_t type) {
  if (value == nullptr) fail(CUBLAS_STATUS_INVALID_VALUE, "a null alpha or beta");
  if (type == CUDA_R_64F) return *static_cast<const double*>(value);
  return *static_cast<const float*>(value);
}

// Leaves poison behind: nobody may rely on what a workspace holds.
void spoil(void* workspace, uint64_t bytes) {
  if (bytes == 0) return;
  std::memset(find_allocation(workspace)->at(workspace), kPoison, bytes);
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;
using funnel::cudacpu::Layout;

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

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  *layout = wrap<cublasLtMatrixLayoutOpaque_t>(Layout{type, rows, cols, ld});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  destroy<Layout>(layout);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  return lt_call("cublasLtMatrixLayoutSetAttribute",
                 [&](Runtime&) { set(*ours<Layout>(layout), attribute, value, bytes); });
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  *operation = wrap<cublasLtMatmulDescOpaque_t>(Operation{.compute = compute, .scale = scale});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  destroy<Operation>(operation);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  return lt_call("cublasLtMatmulDescSetAttribute",
                 [&](Runtime&) { set(*ours<Operation>(operation), attribute, value, bytes); });
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = wrap<cublasLtMatmulPreferenceOpaque_t>(Preference{});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  destroy<Preference>(preference);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  return lt_call("cublasLtMatmulPreferenceSetAttribute",
                 [&](Runtime&) { set(*ours<Preference>(preference), attribute, value, bytes); });
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  *count = 0;
  return lt_call("cublasLtMatmulAlgoGetHeuristic", [&](Runtime&) {
    if (most < 1) fail(CUBLAS_STATUS_INVALID_VALUE, "no results asked for");
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
    const Algorithm algorithm{fingerprint(problem),
                              workspace <= wish.workspace ? workspace : 0,
                              {wish.align_a, wish.align_b, wish.align_c, wish.align_d}};
    results[0] = {};
    std::memcpy(&results[0].algo, &algorithm, sizeof(algorithm));
    results[0].workspaceSize = algorithm.workspace;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    results[0].wavesCount = 1;
    *count = 1;
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
      spoil(workspace, algorithm.workspace);
      compute_problem(problem, operands);
      return true;
    });
  });
}

}  // extern "C"
