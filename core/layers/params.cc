// SPDX-License-Identifier: Apache-2.0
#include "core/layers/params.h"

#include <algorithm>
#include <cstring>

#include "core/layers/initial_values.h"
#include "core/ops/elementwise.h"

namespace funnel {
namespace {

constexpr int64_t kElementAlignment = 64;

void fill_ones(Tensor tensor) {
  with_float_type(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(tensor.as<T>(), tensor.elements(), T(1));
  });
}

}  // namespace

Param& Params::add(const std::string& path, Shape shape, ParamKind kind) {
  FUNNEL_CHECK(!values_, "parameter ", path, " is registered after allocation");
  for (const Param& param : params_) {
    FUNNEL_CHECK(param.name != path, "two parameters are named ", path);
  }
  params_.push_back({path, shape, kind, flat_elements_, {}, {}});
  flat_elements_ +=
      (shape.elements() + kElementAlignment - 1) / kElementAlignment * kElementAlignment;
  return params_.back();
}

void Params::allocate(Context& context) {
  FUNNEL_CHECK(!values_, "parameters are allocated twice");
  const auto zeros = [&](Buffer& buffer, DType dtype, const char* what) {
    buffer = Buffer(context.device(), flat_elements_ * size_of(dtype), what);
    const Tensor tensor = buffer.tensor({flat_elements_}, dtype);
    context.fill_zero(tensor);
    return tensor;
  };
  values_ = zeros(value_buffer_, compute_dtype(dtype_), "the parameters");
  grads_ = zeros(grad_buffer_, compute_dtype(dtype_), "the gradients");
  if (dtype_ == DType::bf16) {
    rounded_values_ = zeros(rounded_buffer_, DType::bf16, "the parameters in bf16");
  }
  const Tensor read = rounded_values_ ? rounded_values_ : values_;
  for (Param& param : params_) {
    param.value = read.slice(param.offset, param.shape);
    param.grad = grads_.slice(param.offset, param.shape);
  }
}

void Params::initialise(Context& context, uint64_t seed, double std) {
  if (context.device() == Device::cpu) {
    draw(seed, std, values_);
  } else {
    const Buffer memory = Buffer::for_transfer(context.device(), values_.bytes());
    const Tensor drawn = memory.tensor(values_.shape(), values_.dtype());
    draw(seed, std, drawn);
    context.upload(drawn, values_);
    context.synchronize();
  }
  round_values(context);
}

void Params::round_values(Context& context) {
  if (rounded_values_) cast(context, values_, rounded_values_);
}

void Params::draw(uint64_t seed, double std, Tensor values) const {
  std::memset(values.data(), 0, values.bytes());
  for (const Param& param : params_) {
    const Tensor value = values.slice(param.offset, param.shape);
    if (param.kind == ParamKind::weight) {
      fill_truncated_normal(RandomStream(seed, Site("initial values") / param.name, 0), std, value);
    } else if (param.kind == ParamKind::norm_gain) {
      fill_ones(value);
    }
  }
}

const Param& Params::find(const std::string& name) const {
  for (const Param& param : params_) {
    if (param.name == name) return param;
  }
  throw Error(concat("there is no parameter named ", name));
}

int64_t Params::count() const {
  int64_t total = 0;
  for (const Param& param : params_) total += param.shape.elements();
  return total;
}

}  // namespace funnel
