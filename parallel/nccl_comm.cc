// SPDX-License-Identifier: Apache-2.0
#include "parallel/nccl_comm.h"

#include <nccl.h>

#include <cstring>
#include <exception>
#include <thread>
#include <utility>

#include "core/base/error.h"

namespace funnel {
namespace {

using Clock = std::chrono::steady_clock;

// Checks often while an answer may come at once, then leaves the core to others.
class Patience {
 public:
  explicit Patience(std::chrono::milliseconds deadline) : end_(Clock::now() + deadline) {}
  // Whether the deadline has passed.
  bool at_an_end() {
    if (++asked_ > kQuickly) std::this_thread::sleep_for(std::chrono::microseconds(50));
    return Clock::now() > end_;
  }

 private:
  static constexpr int kQuickly = 2000;
  Clock::time_point end_;
  int asked_ = 0;
};

class NcclComm final : public Comm {
 public:
  NcclComm(std::unique_ptr<Comm> host, const NcclOptions& options);
  ~NcclComm() override;

  void attach(Context& context) override;
  void barrier() override { host_->barrier(); }
  void broadcast(Tensor tensor, int root) override;
  void all_gather(ConstTensor mine, Tensor all) override;
  void exchange(int peer, ConstTensor send, Tensor receive) override;

 private:
  // What was asked of NCCL is done in the order of the stream. Whoever waits for the stream waits
  // for the peers, too, and so asks what NCCL reports and looks at the clock.
  class PeerWatch final : public Context::Watch {
   public:
    explicit PeerWatch(NcclComm& comm) : comm_(comm) {}
    void while_waiting(std::chrono::milliseconds waited) override { comm_.watch_peers(waited); }

   private:
    NcclComm& comm_;
  };

  void connect();
  bool finalized() noexcept;  // nothing is under way any more
  // An NCCL call's result: returns once the call is in its stream.
  void check(ncclResult_t result, const char* call);
  void watch_peers(std::chrono::milliseconds waited);
  // What NCCL reports. Throws unless that is success or progress.
  ncclResult_t state(const char* call);
  void check_alive(const char* call) const;
  [[noreturn]] void fail(const char* call, const std::string& reason);
  std::string place() const;

  std::unique_ptr<Comm> host_;
  NcclOptions options_;
  int exceptions_at_start_ = std::uncaught_exceptions();
  ncclComm_t comm_ = nullptr;
  std::shared_ptr<PeerWatch> watch_ = std::make_shared<PeerWatch>(*this);
};

NcclComm::NcclComm(std::unique_ptr<Comm> host, const NcclOptions& options)
    : Comm(host->rank(), host->size()), host_(std::move(host)), options_(options) {
  try {
    connect();
  } catch (...) {
    if (comm_ != nullptr) static_cast<void>(ncclCommAbort(comm_));
    throw;
  }
}

void NcclComm::connect() {
  ncclUniqueId id{};
  ncclResult_t result = ncclSuccess;
  if (rank() == 0) result = ncclGetUniqueId(&id);
  host_->broadcast(Tensor(&id, {static_cast<int64_t>(sizeof(id))}, DType::u8), 0);
  check(result, "ncclGetUniqueId");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  result = ncclCommInitRankConfig(&comm_, size(), id, rank(), &config);
  check(result, "ncclCommInitRankConfig");
}

// While an exception unwinds only this rank, the others are not waited for.
NcclComm::~NcclComm() {
  if (comm_ == nullptr) return;
  const bool unwinding = std::uncaught_exceptions() != exceptions_at_start_;
  static_cast<void>(unwinding || !finalized() ? ncclCommAbort(comm_) : ncclCommDestroy(comm_));
}

bool NcclComm::finalized() noexcept {
  ncclResult_t state = ncclCommFinalize(comm_);
  Patience patience(options_.deadline);
  while (state == ncclInProgress && !patience.at_an_end()) {
    if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess) return false;
  }
  return state == ncclSuccess;
}

void NcclComm::attach(Context& context) {
  Comm::attach(context);
  host_->attach(context);
  context.set_watch(watch_);
}

std::string NcclComm::place() const {
  int device = -1;
  cudaDeviceProp properties{};
  const bool known = cudaGetDevice(&device) == cudaSuccess &&
                     cudaGetDeviceProperties(&properties, device) == cudaSuccess;
  return concat("rank ", rank(), " (host ", options_.host_name, ", CUDA device ", device, ", ",
                known ? properties.name : "unknown", ")");
}

void NcclComm::check_alive(const char* call) const {
  FUNNEL_CHECK(comm_ != nullptr, call, ": the group of ranks over NCCL has failed before");
}

void NcclComm::fail(const char* call, const std::string& reason) {
  // Operations that wait for a lost peer would keep the device busy for ever.
  if (comm_ != nullptr) static_cast<void>(ncclCommAbort(std::exchange(comm_, nullptr)));
  throw Error(concat(call, " failed on ", place(), ": ", reason));
}

ncclResult_t NcclComm::state(const char* call) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  if (asked != ncclSuccess) state = asked;
  if (state == ncclSuccess || state == ncclInProgress) return state;
  fail(call, concat(ncclGetErrorString(state), ": ", ncclGetLastError(comm_)));
}

void NcclComm::check(ncclResult_t result, const char* call) {
  if (result != ncclSuccess && result != ncclInProgress) {
    fail(call, concat(ncclGetErrorString(result), ": ", ncclGetLastError(comm_)));
  }
  if (comm_ == nullptr) return;
  Patience patience(options_.deadline);
  while (state(call) == ncclInProgress) {
    if (patience.at_an_end()) {
      fail(call, concat("no answer from the other ranks for ", options_.deadline.count(), " ms"));
    }
  }
}

void NcclComm::watch_peers(std::chrono::milliseconds waited) {
  if (comm_ == nullptr) return;
  constexpr const char* kWhat = "a collective of NCCL";
  static_cast<void>(state(kWhat));
  if (waited <= options_.deadline) return;
  fail(kWhat, concat("no answer from the other ranks for ", options_.deadline.count(), " ms"));
}

void NcclComm::broadcast(Tensor tensor, int root) {
  FUNNEL_CHECK(root >= 0 && root < size(), "broadcast: no rank ", root, " of ", size());
  Context* context = context_for("broadcast", tensor);
  if (context == nullptr) return host_->broadcast(tensor, root);
  if (tensor.bytes() == 0) return;
  check_alive("broadcast");
  check(ncclBroadcast(tensor.data(), tensor.data(), static_cast<size_t>(tensor.bytes()), ncclUint8,
                      root, comm_, context->stream()),
        "ncclBroadcast");
}

void NcclComm::all_gather(ConstTensor mine, Tensor all) {
  FUNNEL_CHECK(mine.bytes() * size() == all.bytes(), "all_gather: expected ", mine.bytes(), " * ",
               size(), " bytes in all, found ", all.bytes());
  Context* context = context_for("all_gather", mine, all);
  if (context == nullptr) return host_->all_gather(mine, all);
  if (mine.bytes() == 0) return;
  check_alive("all_gather");
  check(ncclAllGather(mine.data(), all.data(), static_cast<size_t>(mine.bytes()), ncclUint8, comm_,
                      context->stream()),
        "ncclAllGather");
}

void NcclComm::exchange(int peer, ConstTensor send, Tensor receive) {
  FUNNEL_CHECK(peer >= 0 && peer < size() && peer != rank(), "exchange: rank ", rank(),
               " has no peer ", peer, " among ", size());
  Context* context = context_for("exchange", send, receive);
  if (context == nullptr) return host_->exchange(peer, send, receive);
  if (send.bytes() + receive.bytes() == 0) return;
  check_alive("exchange");
  const cudaStream_t stream = context->stream();
  check(ncclGroupStart(), "ncclGroupStart");
  ncclResult_t result = ncclSuccess;
  if (send.bytes() > 0) {
    result =
        ncclSend(send.data(), static_cast<size_t>(send.bytes()), ncclUint8, peer, comm_, stream);
  }
  if (receive.bytes() > 0 && result == ncclSuccess) {
    result = ncclRecv(receive.data(), static_cast<size_t>(receive.bytes()), ncclUint8, peer, comm_,
                      stream);
  }
  const ncclResult_t ended = ncclGroupEnd();
  check(result == ncclSuccess ? ended : result, "ncclSend and ncclRecv");
}

}  // namespace

std::unique_ptr<Comm> make_nccl_comm(std::unique_ptr<Comm> host, const NcclOptions& options) {
  return std::make_unique<NcclComm>(std::move(host), options);
}

}  // namespace funnel
