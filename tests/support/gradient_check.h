// SPDX-License-Identifier: Apache-2.0
// Central differences in double: whether the gradients that a backward pass wrote are those of the
// function that its forward pass computes.
//
//     const Functional functional(y, seed);                 // L(y) = sum of w_i y_i, w random
//     run forward; run backward with dy = functional.gradient(); then
//     check_gradients([&] { run forward; return functional.of(y); },
//                     {{"x", x, dx}, {"gamma", gamma, dgamma}});
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/random_tensor.h"

namespace funnel::testing {

// A random linear functional of an f64 tensor: it turns any output into one number.
class Functional {
 public:
  Functional(const Shape& shape, uint64_t seed)
      : weights_(random_tensor(shape, DType::f64, seed)) {}

  ConstTensor gradient() const { return weights_; }

  double of(const ConstTensor& output) const {
    const std::vector<double> weight = weights_.values(), value = values_of(output);
    long double total = 0;
    for (size_t i = 0; i < value.size(); ++i) total += weight[i] * value[i];
    return static_cast<double>(total);
  }

 private:
  OwnedTensor weights_;
};

// An input of the function and what backward says its gradient is; both f64.
struct CheckedInput {
  std::string name;
  Tensor value;
  ConstTensor gradient;
};

struct GradientCheck {
  double step = 1e-5;
  // Of the largest element of the tensor's gradient.
  double relative_error = 1e-7;
  // At most so many coordinates of a tensor, drawn at random.
  int64_t coordinates = 200;
};

// `function` recomputes the forward pass from the inputs' present values and returns the
// functional of its outputs. Inputs are perturbed one coordinate at a time and put back. A miss
// names tensor, coordinate and both values.
inline void check_gradients(const std::function<double()>& function,
                            const std::vector<CheckedInput>& inputs, GradientCheck check = {}) {
  for (const CheckedInput& input : inputs) {
    ASSERT_EQ(input.value.elements(), input.gradient.elements()) << input.name;
    const int64_t n = input.value.elements();
    const std::vector<double> value = values_of(input.value);
    const std::vector<double> gradient = values_of(input.gradient);
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(gradient[i]));

    std::mt19937_64 generator(n);
    const int64_t count = std::min(n, check.coordinates);
    int misses = 0;
    for (int64_t trial = 0; trial < count && misses < 5; ++trial) {
      const int64_t i = count == n ? trial : static_cast<int64_t>(generator() % n);
      set_value(input.value, i, value[i] + check.step);
      const double above = function();
      set_value(input.value, i, value[i] - check.step);
      const double below = function();
      set_value(input.value, i, value[i]);
      const double numeric = (above - below) / (2 * check.step);
      // Each functional carries the rounding of its forward pass, which the step divides.
      const double rounding = 32 * 0x1p-53 * std::max(std::abs(above), std::abs(below));
      const double bound = check.relative_error * largest + rounding / check.step;
      if (std::abs(numeric - gradient[i]) <= bound) continue;
      ++misses;
      ADD_FAILURE() << input.name << "[" << i << "] of " << n << ": backward says " << gradient[i]
                    << ", central differences " << numeric << ", which is "
                    << std::abs(numeric - gradient[i]) / std::max(largest, 1e-300)
                    << " of the tensor's largest";
    }
  }
}

}  // namespace funnel::testing
