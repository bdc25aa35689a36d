// SPDX-License-Identifier: Apache-2.0
// Tensors that own their memory, for tests: filled with NaN, given values or seeded random values,
// and read back as doubles.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/backend/buffer.h"
#include "core/base/tensor.h"

namespace funnel::testing {

// The elements as doubles, whatever the dtype.
inline std::vector<double> values_of(const ConstTensor& tensor) {
  const auto convert = [&](auto zero) {
    using T = decltype(zero);
    const T* data = tensor.as<T>();
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
  for (size_t i = 0; i < values.size(); ++i) {
    if (tensor.dtype() == DType::f32) tensor.as<float>()[i] = static_cast<float>(values[i]);
    if (tensor.dtype() == DType::f64) tensor.as<double>()[i] = values[i];
    if (tensor.dtype() == DType::i32) tensor.as<int32_t>()[i] = static_cast<int32_t>(values[i]);
    if (tensor.dtype() == DType::u8) tensor.as<uint8_t>()[i] = static_cast<uint8_t>(values[i]);
  }
}

// A tensor and its buffer. Converts to Tensor and ConstTensor.
class OwnedTensor {
 public:
  // Every byte 0xff: NaN as f32 or f64, -1 as i32, 255 as u8. An op that overwrites leaves no trace
  // of it; one that reads its output does.
  OwnedTensor(Shape shape, DType dtype)
      : buffer_(Device::cpu, shape.elements() * size_of(dtype)),
        tensor_(buffer_.tensor(shape, dtype)) {
    if (tensor_.bytes() > 0) std::memset(tensor_.data(), 0xff, tensor_.bytes());
  }
  OwnedTensor(Shape shape, DType dtype, const std::vector<double>& values)
      : OwnedTensor(shape, dtype) {
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
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.data(), b.data(), a.bytes()) == 0);
}

}  // namespace funnel::testing
