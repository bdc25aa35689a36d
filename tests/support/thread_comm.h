// SPDX-License-Identifier: Apache-2.0
// A group of ranks that are threads of one process, so that code over a Comm runs without a
// launcher and under ThreadSanitizer. When a rank throws, the others throw instead of waiting.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "parallel/comm.h"

namespace funnel::testing {

class ThreadGroup {
 public:
  explicit ThreadGroup(int size) : size_(size), posted_(size), box_(size * size) {}

  int size() const { return size_; }

  void barrier() {
    std::unique_lock lock(mutex_);
    const int64_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    wait(lock, [&] { return round_ != round; });
  }

  // Each rank posts a view; after a barrier any rank may read it, until the next barrier.
  void post(int rank, ConstTensor view) {
    const std::lock_guard lock(mutex_);
    posted_[rank] = view;
  }
  ConstTensor posted(int rank) {
    const std::lock_guard lock(mutex_);
    return posted_[rank];
  }

  // Hands a view to another rank and waits until that rank has copied it.
  void exchange(int rank, int peer, ConstTensor send, Tensor receive) {
    std::unique_lock lock(mutex_);
    Box& out = box_[rank * size_ + peer];
    Box& in = box_[peer * size_ + rank];
    out = {send, true};
    changed_.notify_all();
    wait(lock, [&] { return in.full; });
    FUNNEL_CHECK(in.view.bytes() == receive.bytes(), "exchange: expected ", receive.bytes(),
                 " bytes, found ", in.view.bytes());
    if (receive.bytes() > 0) std::memcpy(receive.data(), in.view.data(), receive.bytes());
    in.full = false;
    changed_.notify_all();
    wait(lock, [&] { return !out.full; });
  }

  void give_up() {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    changed_.notify_all();
  }

 private:
  struct Box {
    ConstTensor view;
    bool full = false;
  };

  template <class Ready>
  void wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    changed_.wait(lock, [&] { return given_up_ || ready(); });
    if (!ready()) throw Error("another rank has failed");
  }

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_up_ = false;
  int arrived_ = 0;
  int64_t round_ = 0;
  std::vector<ConstTensor> posted_;
  std::vector<Box> box_;
};

class ThreadComm final : public Comm {
 public:
  ThreadComm(ThreadGroup& group, int rank) : Comm(rank, group.size()), group_(group) {}

  void barrier() override { group_.barrier(); }

  void broadcast(Tensor tensor, int root) override {
    if (rank() == root) group_.post(root, tensor);
    group_.barrier();
    if (rank() != root) copy(group_.posted(root), tensor);
    group_.barrier();
  }

  void all_gather(ConstTensor mine, Tensor all) override {
    group_.post(rank(), mine);
    group_.barrier();
    for (int from = 0; from < size(); ++from) {
      copy(group_.posted(from), all.slice(from * mine.elements(), mine.shape()));
    }
    group_.barrier();
  }

  void exchange(int peer, ConstTensor send, Tensor receive) override {
    group_.exchange(rank(), peer, send, receive);
  }

 private:
  static void copy(ConstTensor from, Tensor to) {
    FUNNEL_CHECK(from.bytes() == to.bytes(), "expected ", to.bytes(), " bytes, found ",
                 from.bytes());
    if (to.bytes() > 0) std::memcpy(to.data(), from.data(), to.bytes());
  }

  ThreadGroup& group_;
};

// Runs body(comm) as each of `ranks` ranks and waits for all; throws what the lowest failing rank
// threw.
inline void run_on_threads(int ranks, const std::function<void(Comm&)>& body) {
  ThreadGroup group(ranks);
  std::vector<std::exception_ptr> thrown(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadComm comm(group, rank);
        body(comm);
      } catch (...) {
        thrown[rank] = std::current_exception();
        group.give_up();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
}

// Another group of the same ranks, for whoever wants to own one.
class BorrowedComm final : public Comm {
 public:
  explicit BorrowedComm(Comm& comm) : Comm(comm.rank(), comm.size()), comm_(comm) {}
  void barrier() override { comm_.barrier(); }
  void broadcast(Tensor tensor, int root) override { comm_.broadcast(tensor, root); }
  void all_gather(ConstTensor mine, Tensor all) override { comm_.all_gather(mine, all); }
  void exchange(int peer, ConstTensor send, Tensor receive) override {
    comm_.exchange(peer, send, receive);
  }

 private:
  Comm& comm_;
};

}  // namespace funnel::testing
