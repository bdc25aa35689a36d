// SPDX-License-Identifier: Apache-2.0
#include "core/ops/elementwise.h"

#include "core/base/math.h"
#include "core/ops/chunks.h"
#include "core/ops/dropout_rows.h"

namespace funnel {
namespace {

template <class T>
struct Scale {
  const T* x;
  const double* factor;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    const auto by = static_cast<Compute<T>>(*factor);
    const T* in = x + first;
    T* out = y + first;
    if (by == 1 && in == out) return;
    team.each(count, [=](int64_t i) { out[i] = in[i] * by; });
  }
};

template <class T>
struct AddScaled {
  const T* a;
  const T* b;
  Compute<T> factor;
  T* y;
  FUNNEL_HD void operator()(int64_t i) const { y[i] = a[i] + factor * b[i]; }
};

template <class T>
struct Fill {
  T value;
  T* y;
  FUNNEL_HD void operator()(int64_t i) const { y[i] = value; }
};

template <class From, class To>
struct Cast {
  const From* x;
  To* y;
  FUNNEL_HD void operator()(int64_t i) const { y[i] = static_cast<Compute<To>>(x[i]); }
};

template <class T>
struct GeluForward {
  Dropout dropout;
  const T* x;
  T* y;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    using C = Compute<T>;
    const T* in = x + first;
    T* out = y + first;
    each_with_factor(team, count, dropout, first,
                     [=](int64_t i, float factor) { out[i] = math::gelu(C(in[i])) * C(factor); });
  }
};

template <class T>
struct GeluBackward {
  Dropout dropout;
  const T* x;
  const T* dy;
  T* dx;

  template <class Team>
  FUNNEL_HD void operator()(int64_t first, int64_t count, const Team& team) const {
    using C = Compute<T>;
    const T* in = x + first;
    const T* dout = dy + first;
    T* din = dx + first;
    each_with_factor(team, count, dropout, first, [=](int64_t i, float factor) {
      din[i] = dout[i] * C(factor) * math::gelu_gradient(C(in[i]));
    });
  }
};

}  // namespace

void scale(Context& context, ConstTensor x, ConstTensor factor, Tensor y) {
  check_shape("scale: factor", factor, {1});
  check_shape("scale: y", y, x.shape());
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_chunk(context, x.elements(), Scale<T>{x.as<T>(), factor.as<double>(), y.as<T>()});
  });
}

void add_scaled(Context& context, ConstTensor a, ConstTensor b, double factor, Tensor y) {
  check_shape("add_scaled: b", b, a.shape());
  check_shape("add_scaled: y", y, a.shape());
  with_storage_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each(context, a.elements(),
             AddScaled<T>{a.as<T>(), b.as<T>(), static_cast<Compute<T>>(factor), y.as<T>()});
  });
}

void fill(Context& context, double value, Tensor y) {
  with_storage_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each(context, y.elements(), Fill<T>{T(static_cast<Compute<T>>(value)), y.as<T>()});
  });
}

void gelu_forward(Context& context, const Dropout& dropout, ConstTensor x, Tensor y) {
  check_shape("gelu_forward: y", y, x.shape());
  FUNNEL_CHECK(x.elements() == 0 || x.data() != y.data(), "gelu_forward: y must not be x");
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_chunk(context, x.elements(), GeluForward<T>{dropout, x.as<T>(), y.as<T>()});
  });
}

void gelu_backward(Context& context, const Dropout& dropout, ConstTensor x, ConstTensor dy,
                   Tensor dx) {
  check_shape("gelu_backward: dy", dy, x.shape());
  check_shape("gelu_backward: dx", dx, x.shape());
  with_storage_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_chunk(context, x.elements(),
                   GeluBackward<T>{dropout, x.as<T>(), dy.as<T>(), dx.as<T>()});
  });
}

void cast(Context& context, ConstTensor x, Tensor y) {
  check_shape("cast: y", y, x.shape());
  with_storage_type(x.dtype(), [&](auto from) {
    with_storage_type(y.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      for_each(context, x.elements(), Cast<From, To>{x.as<From>(), y.as<To>()});
    });
  });
}

}  // namespace funnel
