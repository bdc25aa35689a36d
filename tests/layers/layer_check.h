// SPDX-License-Identifier: Apache-2.0
// Central differences of one layer in double: every input and every parameter.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/layers/params.h"
#include "core/layers/step.h"
#include "tests/support/gradient_check.h"
#include "tests/support/random_tensor.h"

namespace funnel::testing {

// What a layer under test needs. Build the layer with `params`, then check().
class LayerRig {
 public:
  Context context{Device::cpu};
  Arena saved{Device::cpu};
  Params params{DType::f64};
  Step step{.context = context, .saved = saved, .seed = 9, .number = 4, .first_sample = 3};
  Site site{"layer"};

  // Random values of all parameters, also of biases and around gains.
  void start() {
    params.allocate(context);
    uint64_t seed = 100;
    for (const Param& param : params.all()) {
      const double mean = param.kind == ParamKind::norm_gain ? 1 : 0;
      set_values(param.value, random_values(param.value.elements(), ++seed, mean, 0.5));
    }
  }

  // `forward` writes y from the inputs' present values; `backward` is given dy (which it may
  // change) and writes the gradients that `inputs` name.
  void check(const OwnedTensor& y, const std::function<void()>& forward,
             const std::function<void(Tensor)>& backward, std::vector<CheckedInput> inputs) {
    const Functional functional(y.tensor().shape(), 77);
    const auto run = [&] {
      saved.reset();
      forward();
      return functional.of(y);
    };
    run();
    const OwnedTensor dy(y.tensor().shape(), DType::f64, values_of(functional.gradient()));
    backward(dy);
    for (const Param& param : params.all()) {
      inputs.push_back({param.name, param.value, param.grad});
    }
    check_gradients(run, inputs, {.step = 1e-5, .relative_error = 1e-7, .coordinates = 60});
  }
};

// A random f64 input and room for its gradient.
struct LayerInput {
  LayerInput(Shape shape, uint64_t seed)
      : value(random_tensor(shape, DType::f64, seed)), gradient(shape, DType::f64) {}
  CheckedInput named(const std::string& name) const { return {name, value, gradient}; }

  OwnedTensor value, gradient;
};

}  // namespace funnel::testing
