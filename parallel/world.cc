// SPDX-License-Identifier: Apache-2.0
#include "parallel/world.h"

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <string>

#include "core/base/error.h"
#include "parallel/mpi_call.h"

namespace funnel {
namespace {

std::string host_name() {
  char name[MPI_MAX_PROCESSOR_NAME] = "?";
  int length = 1;
  MPI_Get_processor_name(name, &length);
  return std::string(name, length);
}

}  // namespace

namespace detail {

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  int rank = -1;
  MPI_Error_string(code, text, &length);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  throw Error(
      concat(call, " failed on rank ", rank, " (", host_name(), "): ", std::string(text, length)));
}

}  // namespace detail

World::World() : exceptions_at_start_(std::uncaught_exceptions()) {
  using detail::check_mpi;
  int started = 0;
  MPI_Initialized(&started);
  FUNNEL_CHECK(started == 0, "MPI has been started already in this process");
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  FUNNEL_CHECK(provided >= MPI_THREAD_FUNNELED, "this MPI does not work beside other threads");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  host_ = host_name();

  MPI_Comm node = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  check_mpi(MPI_Comm_rank(node, &node_rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(node, &node_size_), "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&node), "MPI_Comm_free");
}

World::~World() {
  if (std::uncaught_exceptions() == exceptions_at_start_) MPI_Finalize();
}

void World::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);  // should MPI_Abort ever return
}

}  // namespace funnel
