// SPDX-License-Identifier: Apache-2.0
#include "parallel/mpi_tally.h"

#include <mpi.h>

#include <exception>

#include "parallel/mpi_call.h"

namespace funnel {

using detail::check_mpi;

struct MpiTally::Handle {
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  Message sending;  // must stay until the request is done
  int exceptions_at_start = std::uncaught_exceptions();
  // Freeing is collective, so it is left out while an exception unwinds only this rank.
  ~Handle() {
    if (std::uncaught_exceptions() == exceptions_at_start) MPI_Comm_free(&comm);
  }
};

MpiTally::MpiTally(const World& world)
    : rank_(world.rank()),
      newest_(static_cast<size_t>(world.size())),
      handle_(std::make_unique<Handle>()) {
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &handle_->comm), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

MpiTally::~MpiTally() = default;

void MpiTally::receive(int rank, const Message& message) {
  newest_[static_cast<size_t>(rank)] = message.numbers;
  finished_ += static_cast<int>(message.last);
}

void MpiTally::post(const Numbers& mine) {
  if (rank_ == 0) {
    receive(0, {mine, 0});
    return;
  }
  int left = 0;
  check_mpi(MPI_Test(&handle_->request, &left, MPI_STATUS_IGNORE), "MPI_Test");
  if (left == 0) return;
  handle_->sending = {mine, 0};
  check_mpi(MPI_Isend(&handle_->sending, sizeof(Message), MPI_BYTE, 0, 0, handle_->comm,
                      &handle_->request),
            "MPI_Isend");
}

void MpiTally::finish(const Numbers& mine) {
  if (rank_ == 0) {
    receive(0, {mine, 1});
    return;
  }
  check_mpi(MPI_Wait(&handle_->request, MPI_STATUS_IGNORE), "MPI_Wait");
  const Message message{mine, 1};
  check_mpi(MPI_Send(&message, sizeof(Message), MPI_BYTE, 0, 0, handle_->comm), "MPI_Send");
}

MpiTally::Numbers MpiTally::sum() {
  while (true) {
    int arrived = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, 0, handle_->comm, &arrived, &status), "MPI_Iprobe");
    if (arrived == 0) break;
    Message message;
    check_mpi(MPI_Recv(&message, sizeof(Message), MPI_BYTE, status.MPI_SOURCE, 0, handle_->comm,
                       MPI_STATUS_IGNORE),
              "MPI_Recv");
    receive(status.MPI_SOURCE, message);
  }
  Numbers sum{};
  for (const Numbers& numbers : newest_) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += numbers[i];
  }
  return sum;
}

}  // namespace funnel
