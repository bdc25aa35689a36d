// SPDX-License-Identifier: Apache-2.0
// Views of memory that somebody else owns: pointer, shape, dtype, device. Copied freely.
// A Tensor converts to a ConstTensor, never back. A default-made view is null ("not given").
#pragma once

#include <cstdint>

#include "core/base/error.h"
#include "core/base/shape.h"
#include "core/base/types.h"

namespace funnel {

namespace detail {

template <class Void>
class BasicTensor {
 public:
  BasicTensor() = default;
  BasicTensor(Void* data, Shape shape, DType dtype, Device device = Device::cpu)
      : data_(data), shape_(shape), dtype_(dtype), device_(device) {}

  template <class Other>
  requires(std::is_const_v<Void> && !std::is_const_v<Other>)
      BasicTensor(const BasicTensor<Other>& other)
      : BasicTensor(other.data(), other.shape(), other.dtype(), other.device()) {}

  explicit operator bool() const { return data_ != nullptr; }
  Void* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const { return elements() * size_of(dtype_); }
  int64_t rows() const { return shape_.rows(); }
  int64_t cols() const { return shape_.cols(); }

  // The elements as T; null for a null view. Throws if T is not the dtype.
  template <class T>
  auto as() const {
    using Element = std::conditional_t<std::is_const_v<Void>, const T, T>;
    FUNNEL_CHECK(data_ == nullptr || dtype_ == dtype_of<T>(), "expected elements of ",
                 name_of(dtype_of<T>()), ", found ", name_of(dtype_));
    return static_cast<Element*>(data_);
  }

  // The same elements under another shape of the same size.
  BasicTensor reshaped(Shape shape) const {
    FUNNEL_CHECK(shape.elements() == elements(), "cannot see ", shape_, " as ", shape);
    return BasicTensor(data_, shape, dtype_, device_);
  }

  // Elements [first, first + shape.elements()) under the given shape.
  BasicTensor slice(int64_t first, Shape shape) const {
    FUNNEL_CHECK(first >= 0 && first + shape.elements() <= elements(), "slice [", first, ", ",
                 first + shape.elements(), ") leaves a tensor of ", elements(), " elements");
    using Byte = std::conditional_t<std::is_const_v<Void>, const char, char>;
    return BasicTensor(static_cast<Byte*>(data_) + first * size_of(dtype_), shape, dtype_, device_);
  }

 private:
  Void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
};

}  // namespace detail

using Tensor = detail::BasicTensor<void>;
using ConstTensor = detail::BasicTensor<const void>;

// Throws unless the tensor has exactly this shape. `what` names it: "layer_norm: gamma".
inline void check_shape(const char* what, const ConstTensor& tensor, const Shape& expected) {
  FUNNEL_CHECK(tensor.shape() == expected, what, ": expected shape ", expected, ", found ",
               tensor.shape());
}

}  // namespace funnel
