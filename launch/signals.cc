// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

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

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART;  // file operations go on as if nothing had happened
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
