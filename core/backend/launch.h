// SPDX-License-Identifier: Apache-2.0
// How op bodies run: `for_each` over independent elements, `for_each_row` with a team that
// cooperates on a row. An op body is a functor written once, as C++ for the CPU and for CUDA.
// Included only by core/ops/*.cc.
//
// A row functor is called as f(row, team) by every member of the team. A team offers
//     each(n, g)   g(i) once for every i in [0, n), spread over the members; members are in step
//     after sum(n, g)    the sum of g(i), in an order that depends on n only, known to every member
//     max(n, g)    the largest g(i); n >= 1
//     leader()     true on one member
// A body that looks at a row more than once may hold it: each member keeps what it needs of its own
// elements in arrays `A held[Team::slots(kMost)]`, on a device in registers. For n <= kMost
//     each_slot<kMost>(n, g)   as each, with g(i, slot): slot is element i's place in such arrays
//     sum_slots<kMost>(n, g)   as sum
//
// On a CUDA device a team is a warp, or a block where the caller says that rows are long; a body
// that holds rows says which itself, as its type Held. Bodies run there only in sources that nvcc
// compiles (core/CMakeLists.txt lists them).
//
// The serial team is a plain loop that the compiler vectorises. With FUNNEL_THREAD_TEAMS (the
// tsan preset) rows are worked on by four real threads, so that a missing leader() or a read before
// its reduction is a data race that ThreadSanitizer names.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/backend/context.h"
#include "core/base/host_device.h"

#ifdef FUNNEL_THREAD_TEAMS
#include "core/backend/cpu/thread_team.h"
#endif
#ifdef __CUDACC__
#include "core/backend/cuda/launch.cuh"
#endif

namespace funnel {

class SerialTeam {
 public:
  template <class F>
  FUNNEL_HD void each(int64_t n, F f) const {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(i);
  }

  template <class F>
  FUNNEL_HD auto sum(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return reduce<A>(n, f, A(0), [](A x, A y) { return A(x + y); });
  }

  template <class F>
  FUNNEL_HD auto max(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return reduce<A>(n, f, -std::numeric_limits<A>::infinity(),
                     [](A x, A y) { return y > x ? y : x; });
  }

  FUNNEL_HD bool leader() const {
    return true;
  }

  FUNNEL_HD static constexpr int64_t slots(int64_t most) {
    return most;
  }

  template <int64_t kMost, class F>
  FUNNEL_HD void each_slot(int64_t n, F f) const {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(i, i);
  }

  template <int64_t kMost, class F>
  FUNNEL_HD auto sum_slots(int64_t n, F f) const {
    return sum(n, [=](int64_t i) { return f(i, i); });
  }

 private:
  // Element i goes to lane i mod kLanes, then the lanes are joined pairwise: enough independent
  // chains to hide the latency of an addition, in an order that no compiler or alignment changes.
  template <class A, class F, class Join>
  FUNNEL_HD A reduce(int64_t n, F f, A identity, Join join) const {
    constexpr int64_t kLanes = 128 / sizeof(A);
    A lanes[kLanes];
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] = identity;
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] = join(lanes[lane], A(f(i + lane)));
    }
    for (int64_t lane = 0; i + lane < n; ++lane) lanes[lane] = join(lanes[lane], A(f(i + lane)));
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t lane = 0; lane < width; ++lane) {
        lanes[lane] = join(lanes[lane], lanes[lane + width]);
      }
    }
    return lanes[0];
  }
};

// How a body holds rows of up to kMost elements.
template <int64_t kMostElements, bool kBlock>
struct HeldRow {
  static constexpr int64_t kMost = kMostElements;
  static constexpr bool kByBlock = kBlock;  // of the team on a device
};

// Elements of the longest row that can be held.
template <class A>
inline constexpr int64_t kLongestHeldRow = 32768 / sizeof(A);

// f(HeldRow) for a body that holds about five rows of n elements of type A at a time: on a device
// it does with the registers there are, and blocks of which several fit a multiprocessor where it
// can.
template <class A, class F>
void with_held_row(int64_t n, F f) {
  constexpr int64_t kLine = 128 / sizeof(A);
  constexpr int64_t kWarp = 24 * kLine, kBlock = 64 * kLine, kMost = kLongestHeldRow<A>;
  FUNNEL_CHECK(n <= kMost, "expected rows of at most ", kMost, " elements, found ", n);
  if (n <= kWarp) return f(HeldRow<kWarp, false>());
  if (n <= kBlock) return f(HeldRow<kBlock, true>());
  f(HeldRow<kMost, true>());
}

// f(i) for every i in [0, n), in any order.
template <class F>
void for_each(Context& context, int64_t n, const F& f) {
#ifdef __CUDACC__
  if (context.device() == Device::cuda) return cuda::for_each(context.stream(), n, f);
#endif
  FUNNEL_CHECK(context.device() == Device::cpu,
               "for_each: this body was compiled for the CPU only");
#ifdef FUNNEL_THREAD_TEAMS
  run_thread_team([&](const ThreadTeam& team) { team.each(n, f); });
#else
  SerialTeam().each(n, f);
#endif
}

// f(row, team) for every row in [0, rows), in any order. row_length: the longest n that f asks its
// team for, or 0 if that is small; it selects the team, and must depend on nothing that a row's
// sums may not depend on.
template <class F>
void for_each_row(Context& context, int64_t rows, const F& f, int64_t row_length = 0) {
#ifdef __CUDACC__
  if (context.device() == Device::cuda) {
    return cuda::for_each_row(context.stream(), rows, f, row_length);
  }
#endif
  FUNNEL_CHECK(context.device() == Device::cpu,
               "for_each_row: this body was compiled for the CPU only");
  static_cast<void>(row_length);
#ifdef FUNNEL_THREAD_TEAMS
  run_thread_team([&](const ThreadTeam& team) {
    for (int64_t row = 0; row < rows; ++row) f(row, team);
  });
#else
  for (int64_t row = 0; row < rows; ++row) f(row, SerialTeam());
#endif
}

}  // namespace funnel
