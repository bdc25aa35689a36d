// SPDX-License-Identifier: Apache-2.0
// A group of ranks that each have a CUDA device of their own, over NCCL. Tensors on the host go
// over another group of the same ranks, which also brings the ranks together.
//
// NCCL is asked never to block: each call, and each wait of the attached context, watches for what
// NCCL reports and for a deadline. A rank whose peer has died or keeps silent throws an Error that
// names the rank, its host and its device, after it has taken its own operations off the device;
// the group is then of no more use.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "parallel/comm.h"

namespace funnel {

struct NcclOptions {
  std::string host_name;  // for messages
  // How long a rank waits for the others without any sign of them.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
};

// Collective over all ranks of `host`; each has selected its device. Error where this build has no
// NCCL.
std::unique_ptr<Comm> make_nccl_comm(std::unique_ptr<Comm> host, const NcclOptions& options);

}  // namespace funnel
