// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's descriptors as values that own them; every call that fails throws. Private to
// core/backend/cuda/matmul_cublaslt.cc.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <utility>

#include "core/backend/cuda/check.h"
#include "core/base/error.h"

namespace funnel::cuda {

inline void check_lt(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(concat(call, " failed on ", device_name(), ": ", cublasLtGetStatusName(status), ": ",
                     cublasLtGetStatusString(status)));
}

class Layout {
 public:
  // A column-major matrix of rows x cols, or `batch` of them, each `stride` elements from the last.
  Layout(cudaDataType_t type, int64_t rows, int64_t cols, int64_t ld, int64_t batch,
         int64_t stride) {
    check_lt(cublasLtMatrixLayoutCreate(&layout_, type, rows, cols, ld),
             "cublasLtMatrixLayoutCreate");
    if (batch == 1) return;
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  Layout(Layout&& other) noexcept : layout_(std::exchange(other.layout_, nullptr)) {}
  ~Layout() {
    if (layout_ != nullptr) static_cast<void>(cublasLtMatrixLayoutDestroy(layout_));
  }
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  template <class T>
  void set(cublasLtMatrixLayoutAttribute_t attribute, T value) {
    check_lt(cublasLtMatrixLayoutSetAttribute(layout_, attribute, &value, sizeof(value)),
             "cublasLtMatrixLayoutSetAttribute");
  }
  cublasLtMatrixLayout_t layout_ = nullptr;
};

class Operation {
 public:
  Operation(cublasComputeType_t compute, cudaDataType_t scale) {
    check_lt(cublasLtMatmulDescCreate(&operation_, compute, scale), "cublasLtMatmulDescCreate");
  }
  Operation(Operation&& other) noexcept : operation_(std::exchange(other.operation_, nullptr)) {}
  ~Operation() {
    if (operation_ != nullptr) static_cast<void>(cublasLtMatmulDescDestroy(operation_));
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    check_lt(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof(value)),
             "cublasLtMatmulDescSetAttribute");
  }
  cublasLtMatmulDesc_t get() const { return operation_; }

 private:
  cublasLtMatmulDesc_t operation_ = nullptr;
};

class Preference {
 public:
  Preference() {
    check_lt(cublasLtMatmulPreferenceCreate(&preference_), "cublasLtMatmulPreferenceCreate");
  }
  ~Preference() { static_cast<void>(cublasLtMatmulPreferenceDestroy(preference_)); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    check_lt(cublasLtMatmulPreferenceSetAttribute(preference_, attribute, &value, sizeof(value)),
             "cublasLtMatmulPreferenceSetAttribute");
  }
  cublasLtMatmulPreference_t get() const { return preference_; }

 private:
  cublasLtMatmulPreference_t preference_ = nullptr;
};

}  // namespace funnel::cuda
