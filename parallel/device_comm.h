// SPDX-License-Identifier: Apache-2.0
// The group of ranks that suits their devices.
#pragma once

#include <memory>

#include "core/base/types.h"
#include "parallel/comm.h"
#include "parallel/nccl_comm.h"

namespace funnel {

// Collective over the ranks of `host`, a group for host memory, which on CUDA devices have selected
// theirs. Returns `host` itself for the CPU, for one rank, and where two ranks share a device,
// which NCCL refuses: device tensors are then staged through the host. Otherwise a group over NCCL
// with the options.
std::unique_ptr<Comm> comm_for_device(std::unique_ptr<Comm> host, Device device,
                                      const NcclOptions& options);

}  // namespace funnel
