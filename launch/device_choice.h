// SPDX-License-Identifier: Apache-2.0
// Which device a run computes on: all ranks alike, each on the CUDA device of its place among the
// ranks of its host.
#pragma once

#include <string>

#include "core/base/types.h"
#include "launch/config.h"
#include "parallel/comm.h"

namespace funnel {

struct ChosenDevice {
  Device device = Device::cpu;
  std::string text;   // for the log: which device, and why not the other
  std::string place;  // for messages of this rank: "rank 1, host gpu7, CUDA device 1"
};

// Where a rank is at home.
struct HostPlace {
  std::string name;
  int node_rank = 0;  // among the ranks of the host
};

// Collective. CUDA devices are counted round by node_rank; the calling thread keeps its own.
// `fastest` takes the CPU unless every rank can compute on a CUDA device. Input error if `cuda` is
// wanted and some rank cannot.
ChosenDevice choose_device(Comm& comm, DeviceChoice choice, const HostPlace& host);

}  // namespace funnel
