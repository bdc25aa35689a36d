// SPDX-License-Identifier: Apache-2.0
// Signals that arrive in the middle of matrix products. Oracle: the same product undisturbed.
#include "launch/signals.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "core/backend/matmul.h"

namespace funnel {
namespace {

// Sends SIGUSR1 to the thread that made it, again and again, until it is destroyed.
class SignalStorm {
 public:
  SignalStorm() : target_(pthread_self()), sender_([this] { run(); }) {}
  ~SignalStorm() {
    done_ = true;
    sender_.join();
  }
  int64_t sent() const { return sent_; }

 private:
  void run() {
    while (!done_) {
      if (pthread_kill(target_, SIGUSR1) == 0) ++sent_;
      std::this_thread::yield();
    }
  }

  pthread_t target_;
  std::atomic<bool> done_{false};
  std::atomic<int64_t> sent_{0};
  std::thread sender_;
};

TEST(Signals, LeaveProductsAlone) {
  catch_stop_signals();
  Context context(Device::cpu);
  constexpr int64_t kRows = 512, kInner = 512, kColumns = 128, kSignals = 5000;
  std::vector<float> a(kRows * kInner), b(kInner * kColumns), c(kRows * kColumns);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 7919 % 101) / 101 - 0.5f;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 104729 % 97) / 97 - 0.5f;
  const Matmul product{.m = kRows,
                       .n = kColumns,
                       .k = kInner,
                       .a = a.data(),
                       .lda = kInner,
                       .b = b.data(),
                       .ldb = kColumns,
                       .c = c.data(),
                       .ldc = kColumns};
  matmul(context, product);
  const std::vector<float> undisturbed = c;

  SignalStorm storm;
  while (storm.sent() < kSignals) {
    matmul(context, product);
    ASSERT_EQ(c, undisturbed) << "after " << storm.sent() << " signals";
  }
  EXPECT_TRUE(stop_requested());
  EXPECT_EQ(stop_signal(), SIGUSR1);
  clear_stop_request();
}

}  // namespace
}  // namespace funnel
