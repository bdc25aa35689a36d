// SPDX-License-Identifier: Apache-2.0
#include "parallel/mpi_comm.h"

#include <mpi.h>

#include <algorithm>
#include <exception>
#include <limits>

#include "core/base/error.h"
#include "parallel/mpi_call.h"

namespace funnel {
namespace {

using detail::check_mpi;

// MPI counts in int; longer messages go in several calls.
constexpr int64_t kMaxBytes = 1 << 24;

int piece(int64_t bytes, int64_t at) {
  return static_cast<int>(std::clamp<int64_t>(bytes - at, 0, kMaxBytes));
}

}  // namespace

struct MpiComm::Handle {
  MPI_Comm comm = MPI_COMM_NULL;
  int exceptions_at_start = std::uncaught_exceptions();
  // Freeing is collective, so it is left out while an exception unwinds only this rank.
  ~Handle() {
    if (std::uncaught_exceptions() == exceptions_at_start) MPI_Comm_free(&comm);
  }
};

MpiComm::MpiComm(const World& world)
    : Comm(world.rank(), world.size()), handle_(std::make_unique<Handle>()) {
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->comm), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

MpiComm::~MpiComm() = default;

void MpiComm::barrier() {
  check_mpi(MPI_Barrier(handle_->comm), "MPI_Barrier");
}

void MpiComm::broadcast_host(Tensor tensor, int root) {
  for (int64_t at = 0; at < tensor.bytes(); at += kMaxBytes) {
    check_mpi(MPI_Bcast(static_cast<char*>(tensor.data()) + at, piece(tensor.bytes(), at), MPI_BYTE,
                        root, handle_->comm),
              "MPI_Bcast");
  }
}

void MpiComm::all_gather_host(ConstTensor mine, Tensor all) {
  FUNNEL_CHECK(mine.bytes() <= kMaxBytes, "all_gather: expected at most ", kMaxBytes,
               " bytes, found ", mine.bytes());
  const int bytes = static_cast<int>(mine.bytes());
  check_mpi(MPI_Allgather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, handle_->comm),
            "MPI_Allgather");
}

void MpiComm::exchange_host(int peer, ConstTensor send, Tensor receive) {
  const int64_t longest = std::max(send.bytes(), receive.bytes());
  for (int64_t at = 0; at < longest; at += kMaxBytes) {
    const int out = piece(send.bytes(), at);
    const int in = piece(receive.bytes(), at);
    MPI_Status status;
    check_mpi(
        MPI_Sendrecv(static_cast<const char*>(send.data()) + (out > 0 ? at : 0), out, MPI_BYTE,
                     peer, 0, static_cast<char*>(receive.data()) + (in > 0 ? at : 0), in, MPI_BYTE,
                     peer, 0, handle_->comm, &status),
        "MPI_Sendrecv");
    int arrived = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &arrived), "MPI_Get_count");
    FUNNEL_CHECK(arrived == in, "exchange: rank ", rank(), " expected ", in, " bytes from rank ",
                 peer, ", found ", arrived);
  }
}

void MpiComm::attach(Context& context) {
  Comm::attach(context);
  if (context.device() == Device::cpu || size() == 1) return;
  sending_ = Buffer::for_transfer(context.device(), kMaxBytes);
  receiving_ = Buffer::for_transfer(context.device(), kMaxBytes);
}

// Bytes [at, at + kMaxBytes) of a device tensor, as far as there are any, and their host copy.
class MpiComm::Piece {
 public:
  Piece(Context& context, ConstTensor whole, int64_t at, const Buffer& memory)
      : context_(context),
        device_(static_cast<const char*>(whole.data()) + std::min(at, whole.bytes()),
                {piece(whole.bytes(), at)}, DType::u8, whole.device()),
        host_(memory.tensor(device_.shape(), DType::u8)) {}

  // The host copy holds the device's bytes.
  const Tensor& fetched() {
    context_.download(device_, host_);
    return host_;
  }
  const Tensor& host() const { return host_; }
  // The device's bytes are those of the host copy, which may change after the context has
  // synchronised.
  void store() const {
    context_.upload(host_, Tensor(const_cast<void*>(device_.data()), device_.shape(), DType::u8,
                                  device_.device()));
  }

 private:
  Context& context_;
  ConstTensor device_;
  Tensor host_;
};

void MpiComm::broadcast(Tensor tensor, int root) {
  FUNNEL_CHECK(root >= 0 && root < size(), "broadcast: no rank ", root, " of ", size());
  Context* context = context_for("broadcast", tensor);
  if (context == nullptr) return broadcast_host(tensor, root);
  for (int64_t at = 0; size() > 1 && at < tensor.bytes(); at += kMaxBytes) {
    Piece part(*context, tensor, at, sending_);
    broadcast_host(rank() == root ? part.fetched() : part.host(), root);
    if (rank() == root) continue;
    part.store();
    context->synchronize();
  }
}

void MpiComm::all_gather(ConstTensor mine, Tensor all) {
  FUNNEL_CHECK(mine.bytes() * size() == all.bytes(), "all_gather: expected ", mine.bytes(), " * ",
               size(), " bytes in all, found ", all.bytes());
  Context* context = context_for("all_gather", mine, all);
  if (context == nullptr) return all_gather_host(mine, all);
  // One rank's part after the other; gathering is rare and small beside the sums.
  for (int from = 0; from < size(); ++from) {
    const Tensor part = all.slice(from * mine.elements(), mine.shape());
    if (from == rank() && part.data() != mine.data()) context->copy(mine, part);
    broadcast(part, from);
  }
  context->synchronize();
}

void MpiComm::exchange(int peer, ConstTensor send, Tensor receive) {
  FUNNEL_CHECK(peer >= 0 && peer < size() && peer != rank(), "exchange: rank ", rank(),
               " has no peer ", peer, " among ", size());
  Context* context = context_for("exchange", send, receive);
  if (context == nullptr) return exchange_host(peer, send, receive);
  const int64_t longest = std::max(send.bytes(), receive.bytes());
  for (int64_t at = 0; at < longest; at += kMaxBytes) {
    Piece out(*context, send, at, sending_);
    Piece in(*context, receive, at, receiving_);
    exchange_host(peer, out.fetched(), in.host());
    in.store();
    context->synchronize();
  }
}

}  // namespace funnel
