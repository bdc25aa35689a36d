// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "tests/cudacpu/cublaslt_call.h"

namespace funnel::cudacpu {
namespace {

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

template <class T>
void assign(T& field, const void* value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) {
    lt_misuse(CUBLAS_STATUS_INVALID_VALUE,
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
      lt_misuse(CUBLAS_STATUS_NOT_SUPPORTED, "a layout attribute that is not simulated");
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
      lt_misuse(CUBLAS_STATUS_NOT_SUPPORTED, "an operation attribute that is not simulated");
  }
}

void set(Preference& p, cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
         size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return assign(p.workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return assign(p.reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return assign(p.align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return assign(p.align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return assign(p.align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return assign(p.align_d, value, bytes);
    default:
      lt_misuse(CUBLAS_STATUS_NOT_SUPPORTED, "a preference that is not simulated");
  }
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;
using funnel::cudacpu::Layout;

extern "C" {

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

}  // extern "C"
