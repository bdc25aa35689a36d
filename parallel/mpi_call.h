// SPDX-License-Identifier: Apache-2.0
// Turns MPI's return codes into errors. Included only by parallel's MPI sources.
#pragma once

namespace funnel::detail {

// Throws an Error that names the call, this rank and its host unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call);

}  // namespace funnel::detail
