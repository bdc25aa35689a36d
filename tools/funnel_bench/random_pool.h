// SPDX-License-Identifier: Apache-2.0
// Random operands of any size for measurements, on any device: numbers in [-1, 1) that repeat after
// a few million, so that the host knows each without keeping or making them all.
#pragma once

#include <vector>

#include "core/backend/context.h"

namespace funnel {

class RandomPool {
 public:
  // Room for `elements` of dtype f32 or bf16.
  RandomPool(Context& context, DType dtype, int64_t elements);

  // The next piece of the pool; from its start again when too little is left, so that pieces may
  // share memory, which only readers may do.
  Tensor tensor(Shape shape);

  ConstTensor all() const { return all_; }  // [elements]

  // Element i of a piece, as the device holds it.
  double value(const ConstTensor& piece, int64_t i) const;

 private:
  Buffer memory_;
  Tensor all_;
  std::vector<float> period_;  // element i of the pool is period_[i % size]
  int64_t used_ = 0;
};

// Fills a tensor of the context's device with bytes 0xFF, a NaN in every floating-point type.
void poison(Context& context, const Tensor& tensor);

// A digest of a tensor's bits, taken where they lie; of whole 32-bit words.
uint64_t digest_of(Context& context, const ConstTensor& tensor);

// What a tensor of the device holds, on the host.
struct HostCopy {
  HostCopy(Context& context, const ConstTensor& tensor);
  double value(int64_t i) const;
  bool has_nan() const;

 private:
  Buffer memory_;
  Tensor tensor_;
};

}  // namespace funnel
