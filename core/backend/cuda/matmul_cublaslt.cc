// SPDX-License-Identifier: Apache-2.0
// Products through cuBLASLt: descriptors and an algorithm are found once for each shape. A
// row-major C = A B is the column-major C^T = B^T A^T, so the operands change places and a bias of
// n numbers lies along the rows of the result, where the library wants it.
//
// f32 is multiplied as f32 (never as TF32), and bf16 is added up as f32; algorithms that add in an
// order of their own choosing at run time are ruled out, so a product's bits repeat.
#include <cublasLt.h>

#include <array>
#include <bit>
#include <map>
#include <vector>

#include "core/backend/cuda/add_rows.h"
#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cublaslt_handles.h"
#include "core/backend/cuda/runtime.h"
#include "core/backend/matmul.h"

namespace funnel::cuda {
namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;

// The largest power of two up to 256 that the address is a multiple of.
int64_t alignment_of(const void* memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory) | 256u;
  return int64_t{1} << std::countr_zero(address);
}

// What an algorithm depends on: everything but the addresses.
using Key = std::array<int64_t, 22>;

Key key_of(const Matmul& args) {
  return {static_cast<int64_t>(args.dtype),
          static_cast<int64_t>(args.c_dtype),
          args.m,
          args.n,
          args.k,
          args.lda,
          args.ldb,
          args.ldc,
          args.batch,
          args.stride_a,
          args.stride_b,
          args.stride_c,
          args.transpose_a,
          args.transpose_b,
          args.accumulate,
          args.bias != nullptr,
          alignment_of(args.a),
          alignment_of(args.b),
          alignment_of(args.c),
          args.bias == nullptr ? 0 : alignment_of(args.bias),
          static_cast<int64_t>(args.epilogue),
          args.pre == nullptr ? 0 : alignment_of(args.pre)};
}

cudaDataType_t type_of(DType dtype) {
  if (dtype == DType::bf16) return CUDA_R_16BF;
  return dtype == DType::f64 ? CUDA_R_64F : CUDA_R_32F;
}

cublasComputeType_t compute_of(DType dtype) {
  if (dtype == DType::f64) return CUBLAS_COMPUTE_64F;
  return dtype == DType::f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
}

cublasLtEpilogue_t epilogue_of(const Matmul& args) {
  const bool has_bias = args.bias != nullptr;
  switch (args.epilogue) {
    case Epilogue::none:
      return has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::gelu:
      return has_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    case Epilogue::gelu_gradient:
      return CUBLASLT_EPILOGUE_DGELU;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// Before Hopper the library runs GELU of bf16 as a kernel of its own: nothing would be joined.
bool joins_gelu() {
  int device = 0, major = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "cudaDeviceGetAttribute");
  return major >= 9;
}

struct Algorithm {
  cublasLtMatmulAlgo_t choice;
  size_t workspace;
};

struct Prepared {
  Operation operation;
  Layout b, a, c;                     // in the library's order
  std::vector<Algorithm> algorithms;  // those that were asked for; none where the library has none
};

// Whether an algorithm adds up in an order that is the same in every run: all but those whose parts
// meet in the result itself, as they are ready.
bool has_fixed_order(const cublasLtMatmulAlgo_t& algorithm) {
  uint32_t scheme = 0;
  check_lt(cublasLtMatmulAlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                                &scheme, sizeof(scheme), nullptr),
           "cublasLtMatmulAlgoConfigGetAttribute");
  return scheme != CUBLASLT_REDUCTION_SCHEME_INPLACE;
}

class CublasLtMatmul final : public MatmulPrimitives {
 public:
  explicit CublasLtMatmul(Stream stream) : stream_(stream) {
    check_lt(cublasLtCreate(&handle_), "cublasLtCreate");
  }
  ~CublasLtMatmul() override { static_cast<void>(cublasLtDestroy(handle_)); }

  void run(const Matmul& args) override { run_way(args, 0); }

  void run_way(const Matmul& args, int way) override {
    if (args.k == 0) return set_or_add_bias(stream_, args);
    if (args.dtype == DType::f64 && args.bias != nullptr) return run_then_add_bias(args);
    Prepared& prepared = find(args);
    FUNNEL_CHECK(!prepared.algorithms.empty(), "cuBLASLt has no algorithm on ", device_name(),
                 " for a product of ", name_of(args.dtype), " with m ", args.m, ", n ", args.n,
                 ", k ", args.k, ", lda ", args.lda, ", ldb ", args.ldb, ", ldc ", args.ldc,
                 ", batch ", args.batch);
    const Algorithm& algorithm = prepared.algorithms.at(static_cast<size_t>(way));
    with_float_type(compute_dtype(args.dtype),
                    [&](auto zero) { multiply(args, prepared, algorithm, zero); });
  }

  int count_ways(const Matmul& args, int most) override {
    if (args.k == 0 || (args.dtype == DType::f64 && args.bias != nullptr)) return 1;
    prepared_.erase(key_of(args));
    const auto made = prepared_.emplace(key_of(args), prepare(args, most)).first;
    return static_cast<int>(made->second.algorithms.size());
  }

  // f32 keeps to one way of computing GELU on every device. The library wants rows of `pre` to be
  // multiples of 8 elements long and 16 bytes apart.
  bool fuses(const Matmul& args) override {
    if (args.epilogue == Epilogue::none) return true;
    const bool is_bf16 = args.dtype == DType::bf16 && args.c_dtype == DType::bf16;
    const bool is_aligned = args.ldc % 8 == 0 && alignment_of(args.pre) >= 16;
    if (!joins_gelu_ || !is_bf16 || !is_aligned || args.k == 0 || args.batch > 1) return false;
    return !find(args).algorithms.empty();
  }

  std::string name() const override {
    const size_t version = cublasLtGetVersion();
    return concat("cuBLASLt ", version / 10000, ".", version / 100 % 100, ".", version % 100);
  }

 private:
  // The library adds no biases to f64.
  void run_then_add_bias(const Matmul& args) {
    Matmul product = args, bias = args;
    product.bias = nullptr;
    run(product);
    bias.accumulate = true;
    set_or_add_bias(stream_, bias);
  }

  Prepared& find(const Matmul& args) {
    auto found = prepared_.find(key_of(args));
    if (found == prepared_.end()) found = prepared_.emplace(key_of(args), prepare(args, 1)).first;
    return found->second;
  }

  Prepared prepare(const Matmul& args, int most) {
    const cudaDataType_t type = type_of(args.dtype);
    const int64_t m = args.m, n = args.n, k = args.k;
    const bool ta = args.transpose_a, tb = args.transpose_b;
    Prepared prepared{
        .operation = Operation(compute_of(args.dtype), type_of(compute_dtype(args.dtype))),
        .b = Layout(type, tb ? k : n, tb ? n : k, args.ldb, args.batch, args.stride_b),
        .a = Layout(type, ta ? m : k, ta ? k : m, args.lda, args.batch, args.stride_a),
        .c = Layout(type_of(args.c_dtype), n, m, args.ldc, args.batch, args.stride_c),
        .algorithms = {}};
    const auto transposed = [](bool yes) { return yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
    prepared.operation.set(CUBLASLT_MATMUL_DESC_TRANSA, transposed(tb));
    prepared.operation.set(CUBLASLT_MATMUL_DESC_TRANSB, transposed(ta));
    prepared.operation.set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(args));
    if (args.epilogue != Epilogue::none) {
      prepared.operation.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, args.ldc);
    }
    point_to(args, prepared);
    choose_algorithms(args, most, prepared);
    return prepared;
  }

  // The operands that an operation knows by address.
  static void point_to(const Matmul& args, Prepared& prepared) {
    if (args.bias != nullptr) {
      prepared.operation.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, args.bias);
    }
    if (args.epilogue != Epilogue::none) {
      prepared.operation.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, args.pre);
    }
  }

  // The best first, as the library sees it.
  void choose_algorithms(const Matmul& args, int most, Prepared& prepared) {
    Preference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<size_t>(kWorkspaceBytes));
    preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                   static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    const auto alignment = [](const void* p) { return static_cast<uint32_t>(alignment_of(p)); };
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(args.b));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(args.a));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(args.c));
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(args.c));
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, prepared.operation.get(), prepared.b.get(), prepared.a.get(), prepared.c.get(),
        prepared.c.get(), preference.get(), most, found.data(), &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_lt(status, "cublasLtMatmulAlgoGetHeuristic");
    found.resize(static_cast<size_t>(count));
    for (const cublasLtMatmulHeuristicResult_t& one : found) {
      if (one.state != CUBLAS_STATUS_SUCCESS) continue;
      FUNNEL_CHECK(has_fixed_order(one.algo),
                   "cuBLASLt offers an algorithm whose bits would not repeat");
      prepared.algorithms.push_back({one.algo, one.workspaceSize});
      if (one.workspaceSize > 0 && workspace_.bytes() == 0) {
        workspace_ = Buffer(Device::cuda, kWorkspaceBytes, "cuBLASLt's workspace");
      }
    }
  }

  template <class T>
  void multiply(const Matmul& args, Prepared& prepared, const Algorithm& algorithm, T) {
    point_to(args, prepared);
    const T alpha = 1, beta = args.accumulate ? 1 : 0;
    check_lt(
        cublasLtMatmul(handle_, prepared.operation.get(), &alpha, args.b, prepared.b.get(), args.a,
                       prepared.a.get(), &beta, args.c, prepared.c.get(), args.c, prepared.c.get(),
                       &algorithm.choice, workspace_.data(), algorithm.workspace, stream_),
        "cublasLtMatmul");
  }

  Stream stream_;
  cublasLtHandle_t handle_ = nullptr;
  const bool joins_gelu_ = joins_gelu();
  std::map<Key, Prepared> prepared_;
  Buffer workspace_;
};

}  // namespace

std::unique_ptr<MatmulPrimitives> make_matmul_primitives(Stream stream) {
  return std::make_unique<CublasLtMatmul>(stream);
}

}  // namespace funnel::cuda
