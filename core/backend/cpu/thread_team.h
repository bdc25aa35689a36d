// SPDX-License-Identifier: Apache-2.0
// Four real threads that cooperate on rows the way a GPU's warps would: the stage on which
// ThreadSanitizer checks op bodies. Built only with FUNNEL_THREAD_TEAMS.
#pragma once

#include <array>
#include <barrier>
#include <cstdint>
#include <limits>
#include <thread>
#include <type_traits>
#include <vector>

namespace funnel {

inline constexpr int kTeamThreads = 4;

class ThreadTeam {
 public:
  struct Shared {
    std::barrier<> barrier{kTeamThreads};
    std::array<long double, kTeamThreads> partial{};
  };
  ThreadTeam(Shared& shared, int member) : shared_(shared), member_(member) {}

  template <class F>
  void each(int64_t n, F f) const {
    for (int64_t i = member_; i < n; i += kTeamThreads) f(i);
    shared_.barrier.arrive_and_wait();
  }

  template <class F>
  auto sum(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return combine<A>(n, f, A(0), [](A x, A y) { return A(x + y); });
  }

  template <class F>
  auto max(int64_t n, F f) const {
    using A = std::remove_cvref_t<decltype(f(int64_t{0}))>;
    return combine<A>(n, f, -std::numeric_limits<A>::infinity(),
                      [](A x, A y) { return y > x ? y : x; });
  }

  bool leader() const { return member_ == 0; }

  static constexpr int64_t slots(int64_t most) { return most; }

  template <int64_t kMost, class F>
  void each_slot(int64_t n, F f) const {
    each(n, [=](int64_t i) { f(i, i); });
  }

  template <int64_t kMost, class F>
  auto sum_slots(int64_t n, F f) const {
    return sum(n, [=](int64_t i) { return f(i, i); });
  }

 private:
  template <class A, class F, class Join>
  A combine(int64_t n, F f, A identity, Join join) const {
    A mine = identity;
    for (int64_t i = member_; i < n; i += kTeamThreads) mine = join(mine, A(f(i)));
    shared_.partial[member_] = mine;
    shared_.barrier.arrive_and_wait();
    A total = identity;
    for (long double part : shared_.partial) total = join(total, A(part));
    shared_.barrier.arrive_and_wait();
    return total;
  }

  Shared& shared_;
  int member_;
};

// Runs body(team) on every member and waits for all of them.
template <class Body>
void run_thread_team(const Body& body) {
  ThreadTeam::Shared shared;
  std::vector<std::thread> threads;
  for (int member = 0; member < kTeamThreads; ++member) {
    threads.emplace_back([&shared, &body, member] { body(ThreadTeam(shared, member)); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace funnel
