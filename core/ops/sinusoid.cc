// SPDX-License-Identifier: Apache-2.0
#include "core/ops/sinusoid.h"

#include <cmath>
#include <vector>

#include "core/ops/dropout_rows.h"

namespace funnel {
namespace {

// On the host: a device has no short way to the sine of a double, a table is made once for a run,
// and so it has the same bits on every device.
template <class T>
void fill_table(int64_t first_distance, int64_t step, const Tensor& table) {
  const int64_t half = table.cols() / 2;
  std::vector<double> frequencies(half);
  for (int64_t k = 0; k < half; ++k) {
    frequencies[k] = std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(half));
  }
  for (int64_t row = 0; row < table.rows(); ++row) {
    const double distance = static_cast<double>(first_distance - row * step);
    T* sines = table.as<T>() + row * 2 * half;
    T* cosines = sines + half;
    for (int64_t k = 0; k < half; ++k) {
      sines[k] = static_cast<T>(std::sin(distance * frequencies[k]));
      cosines[k] = static_cast<T>(std::cos(distance * frequencies[k]));
    }
  }
}

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
                     [=](int64_t k, float factor) { to[k] = to[k] * Compute<T>(factor); });
  }
};

}  // namespace

void sinusoid_table(Context& context, const SinusoidTable& args) {
  const int64_t width = args.table.cols();
  FUNNEL_CHECK(width % 2 == 0, "sinusoid_table: expected an even width, found ", width);
  const bool on_host = context.device() == Device::cpu;
  const Buffer memory =
      on_host ? Buffer() : Buffer::for_transfer(context.device(), args.table.bytes());
  const Tensor host = on_host ? args.table : memory.tensor(args.table.shape(), args.table.dtype());
  with_storage_type(host.dtype(), [&](auto type) {
    fill_table<decltype(type)>(args.first_distance, args.step, host);
  });
  if (on_host) return;
  context.upload(host, args.table);
  context.synchronize();
}

void drop_by_distance(Context& context, const Dropout& dropout, const SinusoidTable& args,
                      int64_t distance_offset) {
  const int64_t rows = args.table.rows(), width = args.table.cols();
  if (!dropout.active() || rows == 0) return;
  const int64_t last_distance = args.first_distance - (rows - 1) * args.step;
  FUNNEL_CHECK(last_distance + distance_offset >= 0 && args.first_distance + distance_offset >= 0,
               "drop_by_distance: distances ", args.first_distance, " to ", last_distance,
               " need an offset larger than ", distance_offset);
  with_storage_type(args.table.dtype(), [&](auto type) {
    using T = decltype(type);
    for_each_row(context, rows,
                 DropByDistanceRow<T>{dropout, args.first_distance, args.step, distance_offset,
                                      width, args.table.as<T>()});
  });
}

}  // namespace funnel
