// SPDX-License-Identifier: Apache-2.0
#include "parallel/device_comm.h"

#include <array>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "core/backend/device.h"

namespace funnel {
namespace {

bool has_shared_device(Comm& comm, const std::string& host_name) {
  using Place = std::array<char, 384>;
  const auto bytes = static_cast<int64_t>(sizeof(Place));
  Place mine{};
  const std::string text = host_name + " " + cuda_device_address();
  std::strncpy(mine.data(), text.c_str(), mine.size() - 1);
  std::vector<Place> all(comm.size());
  comm.all_gather(ConstTensor(mine.data(), {bytes}, DType::u8),
                  Tensor(all.data(), {bytes * comm.size()}, DType::u8));
  return std::set<Place>(all.begin(), all.end()).size() < all.size();
}

}  // namespace

std::unique_ptr<Comm> comm_for_device(std::unique_ptr<Comm> host, Device device,
                                      const NcclOptions& options) {
  if (device == Device::cpu || host->size() == 1) return host;
  if (has_shared_device(*host, options.host_name)) return host;
  return make_nccl_comm(std::move(host), options);
}

}  // namespace funnel
