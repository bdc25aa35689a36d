// SPDX-License-Identifier: Apache-2.0
// Tensors on the device under test that own their memory: filled with NaN, given values or seeded
// random values, and read back as doubles.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/backend/buffer.h"
#include "core/base/tensor.h"
#include "tests/support/device_under_test.h"

namespace funnel::testing {

// Bytes of the tensor in host memory, wherever it lies.
inline std::vector<char> bytes_of(const ConstTensor& tensor) {
  std::vector<char> bytes(static_cast<size_t>(tensor.bytes()));
  const Tensor host(bytes.data(), tensor.shape(), tensor.dtype());
  if (tensor.device() == Device::cuda) {
    context_under_test().download(tensor, host);
  } else if (!bytes.empty()) {
    std::memcpy(bytes.data(), tensor.data(), bytes.size());
  }
  return bytes;
}

// Overwrites all of the tensor's bytes, wherever it lies.
inline void set_bytes(const Tensor& tensor, const std::vector<char>& bytes) {
  FUNNEL_CHECK(static_cast<int64_t>(bytes.size()) == tensor.bytes(), "expected ", tensor.bytes(),
               " bytes, found ", bytes.size());
  if (tensor.device() == Device::cuda) {
    context_under_test().upload(ConstTensor(bytes.data(), tensor.shape(), tensor.dtype()), tensor);
    context_under_test().synchronize();
  } else if (!bytes.empty()) {
    std::memcpy(tensor.data(), bytes.data(), bytes.size());
  }
}

// The elements as doubles, whatever the dtype.
inline std::vector<double> values_of(const ConstTensor& tensor) {
  const std::vector<char> bytes = bytes_of(tensor);
  const auto convert = [&](auto zero) {
    using T = decltype(zero);
    const T* data = reinterpret_cast<const T*>(bytes.data());
    return std::vector<double>(data, data + tensor.elements());
  };
  switch (tensor.dtype()) {
    case DType::f32:
      return convert(float{});
    case DType::f64:
      return convert(double{});
    case DType::i32:
      return convert(int32_t{});
    case DType::u8:
      return convert(uint8_t{});
    case DType::bf16:
      return convert(BFloat16{});
  }
  return {};
}

inline std::vector<int64_t> integers_of(const ConstTensor& tensor) {
  std::vector<int64_t> integers;
  for (double value : values_of(tensor)) integers.push_back(static_cast<int64_t>(value));
  return integers;
}

// Converts and writes all elements.
inline void set_values(const Tensor& tensor, const std::vector<double>& values) {
  FUNNEL_CHECK(static_cast<int64_t>(values.size()) == tensor.elements(), "expected ",
               tensor.elements(), " values, found ", values.size());
  std::vector<char> bytes(static_cast<size_t>(tensor.bytes()));
  const auto write = [&](auto zero) {
    using T = decltype(zero);
    T* to = reinterpret_cast<T*>(bytes.data());
    for (size_t i = 0; i < values.size(); ++i) to[i] = static_cast<T>(values[i]);
  };
  if (tensor.dtype() == DType::f32) write(float{});
  if (tensor.dtype() == DType::f64) write(double{});
  if (tensor.dtype() == DType::i32) write(int32_t{});
  if (tensor.dtype() == DType::u8) write(uint8_t{});
  if (tensor.dtype() == DType::bf16) write(BFloat16{});
  set_bytes(tensor, bytes);
}

inline void set_value(const Tensor& tensor, int64_t i, double value) {
  set_values(tensor.slice(i, {1}), {value});
}

// A tensor and its buffer. Converts to Tensor and ConstTensor.
class OwnedTensor {
 public:
  // Every byte 0xff: NaN as f32, f64 or bf16, -1 as i32, 255 as u8. An op that overwrites leaves no
  // trace of it; one that reads its output does.
  OwnedTensor(Shape shape, DType dtype, Device device = device_under_test())
      : buffer_(device, shape.elements() * size_of(dtype)), tensor_(buffer_.tensor(shape, dtype)) {
    set_bytes(tensor_, std::vector<char>(static_cast<size_t>(tensor_.bytes()), '\xff'));
  }
  OwnedTensor(Shape shape, DType dtype, const std::vector<double>& values,
              Device device = device_under_test())
      : OwnedTensor(shape, dtype, device) {
    set_values(tensor_, values);
  }

  operator Tensor() const { return tensor_; }
  operator ConstTensor() const { return tensor_; }
  const Tensor& tensor() const { return tensor_; }
  std::vector<double> values() const { return values_of(tensor_); }

 private:
  Buffer buffer_;
  Tensor tensor_;
};

inline OwnedTensor zero_tensor(Shape shape, DType dtype) {
  return OwnedTensor(shape, dtype, std::vector<double>(shape.elements(), 0.0));
}

// Normally distributed values; the same for a seed, whatever the dtype up to its rounding.
inline std::vector<double> random_values(int64_t n, uint64_t seed, double mean = 0,
                                         double deviation = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<double> values(n);
  for (double& value : values) value = normal(generator);
  return values;
}

inline OwnedTensor random_tensor(Shape shape, DType dtype, uint64_t seed, double mean = 0,
                                 double deviation = 1) {
  return OwnedTensor(shape, dtype, random_values(shape.elements(), seed, mean, deviation));
}

// Integers in [0, limit), as i32 or u8.
inline OwnedTensor random_integers(Shape shape, DType dtype, int64_t limit, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<int64_t> uniform(0, limit - 1);
  std::vector<double> values(shape.elements());
  for (double& value : values) value = static_cast<double>(uniform(generator));
  return OwnedTensor(shape, dtype, values);
}

// The same bytes in both? For comparing runs bit by bit.
inline bool same_bits(const ConstTensor& a, const ConstTensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && bytes_of(a) == bytes_of(b);
}

}  // namespace funnel::testing
