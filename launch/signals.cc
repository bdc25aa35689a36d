// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/error.h"

namespace funnel {
namespace {

// A signal may arrive on any thread, so the flag is atomic, and lock-free to be safe in a handler.
std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember_signal(int signal) {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
}

// The kernel puts a handler's frame 128 bytes below the stack pointer. oneDNN's generated kernels
// for AVX2 keep data further below and would lose it, so the thread that computes takes signals on
// another stack.
void use_own_signal_stack() {
  static std::array<char, 64 * 1024> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  FUNNEL_CHECK(sigaltstack(&stack, nullptr) == 0,
               "cannot set a signal stack: ", std::strerror(errno));
}

}  // namespace

void catch_stop_signals() {
  use_own_signal_stack();
  struct sigaction action {};
  action.sa_handler = remember_signal;
  // File operations go on as if nothing had happened.
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    FUNNEL_CHECK(sigaction(signal, &action, nullptr) == 0, "cannot catch signal ", signal, ": ",
                 std::strerror(errno));
  }
}

bool stop_requested() {
  return first_signal != 0;
}

int stop_signal() {
  return first_signal;
}

void clear_stop_request() {
  first_signal = 0;
}

}  // namespace funnel
