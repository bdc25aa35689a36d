// SPDX-License-Identifier: Apache-2.0
#include "core/ops/sinusoid.h"

#include <cmath>

#include "core/ops/dropout_rows.h"

namespace funnel {
namespace {

struct FrequencyElement {
  int64_t half;
  double* frequencies;

  FUNNEL_HD void operator()(int64_t k) const {
    frequencies[k] = ::pow(10000.0, -static_cast<double>(k) / static_cast<double>(half));
  }
};

template <class T>
struct SinusoidTableRow {
  int64_t first_distance, step, half;
  const double* frequencies;
  T* table;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const double distance = static_cast<double>(first_distance - row * step);
    const double* f = frequencies;
    T* sines = table + row * 2 * half;
    T* cosines = sines + half;
    team.each(half, [=](int64_t k) {
      sines[k] = static_cast<T>(::sin(distance * f[k]));
      cosines[k] = static_cast<T>(::cos(distance * f[k]));
    });
  }
};

template <class T>
struct DropByDistanceRow {
  Dropout dropout;
  int64_t first_distance, step, distance_offset, width;
  T* table;

  template <class Team>
  FUNNEL_HD void operator()(int64_t row, const Team& team) const {
    const int64_t distance = first_distance - row * step;
    T* to = table + row * width;
    each_with_factor(team, width, dropout, (distance + distance_offset) * width,
                     [=](int64_t k, float factor) { to[k] *= static_cast<T>(factor); });
  }
};

}  // namespace

void sinusoid_table(Context& context, const SinusoidTable& args) {
  const int64_t width = args.table.cols();
  FUNNEL_CHECK(width % 2 == 0, "sinusoid_table: expected an even width, found ", width);
  const int64_t half = width / 2;
  Scratch scratch(context.scratch());
  double* frequencies = scratch.tensor({half}, DType::f64).as<double>();
  for_each(context, half, FrequencyElement{half, frequencies});
  with_float_type(args.table.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(
        context, args.table.rows(),
        SinusoidTableRow<T>{args.first_distance, args.step, half, frequencies, args.table.as<T>()});
  });
}

void drop_by_distance(Context& context, const Dropout& dropout, const SinusoidTable& args,
                      int64_t distance_offset) {
  const int64_t rows = args.table.rows(), width = args.table.cols();
  if (!dropout.active() || rows == 0) return;
  const int64_t last_distance = args.first_distance - (rows - 1) * args.step;
  FUNNEL_CHECK(last_distance + distance_offset >= 0 && args.first_distance + distance_offset >= 0,
               "drop_by_distance: distances ", args.first_distance, " to ", last_distance,
               " need an offset larger than ", distance_offset);
  with_float_type(args.table.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, rows,
                 DropByDistanceRow<T>{dropout, args.first_distance, args.step, distance_offset,
                                      width, args.table.as<T>()});
  });
}

}  // namespace funnel
