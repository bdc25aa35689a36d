// SPDX-License-Identifier: Apache-2.0
#include "core/layers/initial_values.h"

#include <algorithm>
#include <cmath>

namespace funnel {
namespace {

template <size_t N>
double polynomial(const double (&coefficients)[N], double x) {
  double value = 0;
  for (double c : coefficients) value = value * x + c;
  return value;
}

double central_quantile(double q) {
  constexpr double kTop[] = {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
                             45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
                             133.14166789178437745, 3.387132872796366608};
  constexpr double kBottom[] = {
      5226.495278852854561,  28729.085735721942674, 39307.89580009271061,  21213.794301586595867,
      5394.1960214247511077, 687.1870074920579083,  42.313330701600911252, 1.0};
  const double r = 0.180625 - q * q;
  return q * polynomial(kTop, r) / polynomial(kBottom, r);
}

// For tails down to e^-25, far beyond two deviations.
double tail_quantile(double tail) {
  constexpr double kTop[] = {7.7454501427834140764e-4, .0227238449892691845833,
                             .24178072517745061177,    1.27045825245236838258,
                             3.64784832476320460504,   5.7694972214606914055,
                             4.6303378461565452959,    1.42343711074968357734};
  constexpr double kBottom[] = {1.05075007164441684324e-9, 5.475938084995344946e-4,
                                .0151986665636164571966,   .14810397642748007459,
                                .68976733498510000455,     1.6763848301838038494,
                                2.05319162663775882187,    1.0};
  const double r = std::sqrt(-std::log(tail)) - 1.6;
  return polynomial(kTop, r) / polynomial(kBottom, r);
}

}  // namespace

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) return central_quantile(q);
  const double z = tail_quantile(std::min(p, 1.0 - p));
  return q < 0 ? -z : z;
}

void fill_truncated_normal(RandomStream stream, double std, Tensor values) {
  // The distribution function at two deviations: draws are spread evenly between -2 and 2 in
  // probability.
  constexpr double kLow = 0.022750131948179207;
  with_float_type(values.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = values.as<T>();
    for (int64_t i = 0; i < values.elements(); i += 4) {
      const RandomBits bits = stream.bits(static_cast<uint64_t>(i) / 4);
      const int64_t end = std::min<int64_t>(4, values.elements() - i);
      for (int64_t lane = 0; lane < end; ++lane) {
        const double u = (bits.word[lane] + 0.5) * 0x1p-32;
        out[i + lane] = static_cast<T>(std * normal_quantile(kLow + (1 - 2 * kLow) * u));
      }
    }
  });
}

}  // namespace funnel
