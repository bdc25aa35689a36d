// SPDX-License-Identifier: Apache-2.0
#include "launch/device_choice.h"

#include <algorithm>
#include <vector>

#include "core/backend/device.h"
#include "core/base/error.h"
#include "parallel/together.h"

namespace funnel {
namespace {

// Selects this rank's CUDA device, or says why there is none.
std::string why_not_cuda(int node_rank) {
  const std::string why = why_no_cuda();
  if (!why.empty()) return why;
  try {
    select_cuda_device(node_rank % cuda_devices());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool every_rank(Comm& comm, bool mine) {
  const Buffer memory(Device::cpu, 1 + comm.size());
  const Tensor flag = memory.tensor({1}, DType::u8);
  const Tensor flags = memory.tensor({1 + comm.size()}, DType::u8).slice(1, {comm.size()});
  *flag.as<uint8_t>() = mine ? 1 : 0;
  comm.all_gather(flag, flags);
  const uint8_t* all = flags.as<uint8_t>();
  return std::all_of(all, all + comm.size(), [](uint8_t rank_has) { return rank_has != 0; });
}

}  // namespace

ChosenDevice choose_device(Comm& comm, DeviceChoice choice, const HostPlace& host) {
  const std::string place = concat("rank ", comm.rank(), ", host ", host.name);
  if (choice == DeviceChoice::cpu) return {Device::cpu, "CPU, as configured", place};
  const std::string why = why_not_cuda(host.node_rank);
  if (choice == DeviceChoice::cuda) {
    together(comm, [&] {
      FUNNEL_CHECK_INPUT(why.empty(), "device: expected cpu or auto, because ", why, " (host ",
                         host.name, "); found cuda");
    });
  }
  if (every_rank(comm, why.empty())) {
    return {Device::cuda, describe_cuda_device(),
            concat(place, ", CUDA device ", host.node_rank % cuda_devices())};
  }
  return {Device::cpu,
          concat("CPU, because ", why.empty() ? "another rank has no CUDA device" : why), place};
}

}  // namespace funnel
