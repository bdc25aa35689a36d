// SPDX-License-Identifier: Apache-2.0
// What a tensor's elements are and where they live.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/base/bfloat16.h"
#include "core/base/error.h"

namespace funnel {

enum class Device : uint8_t { cpu, cuda };

constexpr const char* name_of(Device device) {
  return device == Device::cpu ? "the CPU" : "a CUDA device";
}

// f32 is the working type; bf16 stores what is computed in f32; f64 serves gradient checks; i32
// holds token ids and indices; u8 holds segments and flags.
enum class DType : uint8_t { f32, f64, i32, u8, bf16 };

// Among the targets of predictions: there is nothing to predict.
inline constexpr int32_t kNoTarget = -1;

constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
      return 8;
    case DType::u8:
      return 1;
    case DType::bf16:
      return 2;
  }
  return 0;
}

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
    case DType::bf16:
      return "bf16";
  }
  return "?";
}

template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, float>) return DType::f32;
  if constexpr (std::is_same_v<U, double>) return DType::f64;
  if constexpr (std::is_same_v<U, int32_t>) return DType::i32;
  if constexpr (std::is_same_v<U, uint8_t>) return DType::u8;
  if constexpr (std::is_same_v<U, BFloat16>) return DType::bf16;
}

// What elements of a floating type are computed in, and what their sums, statistics, losses and
// parameter gradients are stored as: f32 for bf16, else the type itself.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, BFloat16>, float, T>;
constexpr DType compute_dtype(DType dtype) {
  return dtype == DType::bf16 ? DType::f32 : dtype;
}

// Calls f with a value of the C++ type of a dtype that is computed in: f(float{}) or f(double{}).
template <class F>
decltype(auto) with_float_type(DType dtype, F&& f) {
  FUNNEL_CHECK(dtype == DType::f32 || dtype == DType::f64, "expected f32 or f64, found ",
               name_of(dtype));
  return dtype == DType::f32 ? f(float{}) : f(double{});
}

// The same for what activations and weights are stored as: one of those, or f(BFloat16{}).
template <class F>
decltype(auto) with_storage_type(DType dtype, F&& f) {
  if (dtype == DType::bf16) return f(BFloat16{});
  return with_float_type(dtype, f);
}

}  // namespace funnel
