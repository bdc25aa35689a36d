// SPDX-License-Identifier: Apache-2.0
// NCCL in a build without CUDA.
#include "core/base/error.h"
#include "parallel/nccl_comm.h"

namespace funnel {

std::unique_ptr<Comm> make_nccl_comm(std::unique_ptr<Comm>, const NcclOptions&) {
  throw Error("this build has no CUDA backend, so it has no NCCL");
}

}  // namespace funnel
