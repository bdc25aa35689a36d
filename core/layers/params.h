// SPDX-License-Identifier: Apache-2.0
// The parameters of a model. Layers register theirs by dotted path while they are built; allocate()
// then lays all values, and all gradients, into one flat buffer each, in the order of registration.
// Clipping, the optimizer, reductions and checkpoints work on ranges of those buffers.
//
// Where layers work in bf16 they read a rounded copy, a third flat buffer. What is learnt, summed
// and kept stays f32: most updates are smaller than the last bit of a bf16.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/backend/buffer.h"
#include "core/backend/context.h"
#include "core/base/tensor.h"

namespace funnel {

enum class ParamKind : uint8_t {
  weight,     // kernels, embeddings, head vectors, and attention's r_w, r_r, r_s: truncated normal
  bias,       // zeros
  norm_gain,  // ones
  norm_bias,  // zeros
};

struct Param {
  std::string name;  // "encoder/block_0/layer_1/attention/query/kernel"
  Shape shape;
  ParamKind kind;
  int64_t offset = 0;  // of its first element in the flat buffers
  Tensor value;        // what layers read, in Params::dtype(); set by Params::allocate, like:
  Tensor grad;         // f32 where that is bf16

  // Norms and biases may be left out of weight decay; attention's r_* "biases" are weights.
  bool decays_always() const { return kind == ParamKind::weight; }
};

class Params {
 public:
  explicit Params(DType dtype) : dtype_(dtype) {}
  Params(const Params&) = delete;
  Params& operator=(const Params&) = delete;

  // Registers a parameter; the reference stays valid. Throws if the name is taken.
  Param& add(const std::string& path, Shape shape, ParamKind kind);

  // Lays out the flat buffers (parameters start on multiples of 64 elements; the gaps stay zero)
  // on the context's device and zeroes them. Called once, after every layer is built.
  void allocate(Context& context);

  // Draws every weight from a normal of deviation `std` cut at two deviations, keyed by (seed,
  // name), the same on every rank and device; sets biases to zero and gains to one.
  void initialise(Context& context, uint64_t seed, double std);

  const std::deque<Param>& all() const { return params_; }
  // Throws if there is no such parameter.
  const Param& find(const std::string& name) const;

  // Makes the rounded copy, if there is one, that of the present values. For whoever has changed
  // values() by other means than an optimizer that writes both.
  void round_values(Context& context);

  DType dtype() const { return dtype_; }  // of what layers work on
  int64_t count() const;                  // numbers in all parameters, without gaps
  int64_t flat_elements() const { return flat_elements_; }   // with gaps
  Tensor values() const { return values_; }                  // [flat_elements], f32 or f64
  Tensor grads() const { return grads_; }                    // [flat_elements], likewise
  Tensor rounded_values() const { return rounded_values_; }  // [flat_elements] bf16, or null

 private:
  void draw(uint64_t seed, double std, Tensor values) const;

  DType dtype_;
  std::deque<Param> params_;
  int64_t flat_elements_ = 0;
  Buffer value_buffer_, grad_buffer_, rounded_buffer_;
  Tensor values_, grads_, rounded_values_;
};

}  // namespace funnel
