// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/stream_race.h"

#include <algorithm>

#include "core/base/error.h"
#include "tests/cudacpu/options.h"
#include "tests/cudacpu/race.h"
#include "tests/cudacpu/runtime.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {
namespace {

struct PastLaunch {
  uint64_t first_block, blocks;
  Stamp stamp;
  const Program* program;
};

// In the order they ran, without those that everybody knows.
std::vector<PastLaunch> launches;
size_t launches_limit = 1024;
// All that has run: whoever knows it all need not look further.
Clock launched, touched;

const Clock& host_clock() {
  return Runtime::get().chains.host;
}

// Null if it was forgotten, everybody knowing it.
const PastLaunch* launch_of(uint64_t block) {
  const auto next = std::upper_bound(
      launches.begin(), launches.end(), block,
      [](uint64_t id, const PastLaunch& launch) { return id < launch.first_block; });
  if (next == launches.begin()) return nullptr;
  const PastLaunch& found = *std::prev(next);
  return block - found.first_block < found.blocks ? &found : nullptr;
}

bool comes_before(const WorkOrder& order, uint64_t block) {
  const PastLaunch* launch = launch_of(block);
  return launch == nullptr || order.clock.knows(launch->stamp);
}

// The id of the oldest block that does not come before the work, or `none`.
uint64_t oldest_unordered(const WorkOrder* order, uint64_t none) {
  if (order == nullptr || order->clock.knows_all_of(launched)) return none;
  const auto found = std::find_if(launches.begin(), launches.end(), [&](const PastLaunch& one) {
    return !order->clock.knows(one.stamp);
  });
  return found == launches.end() ? none : found->first_block;
}

void remember_launch(const PastLaunch& launch) {
  if (launches.size() >= launches_limit) {
    std::erase_if(launches, [](const PastLaunch& one) { return host_clock().knows(one.stamp); });
    launches_limit = std::max<size_t>(1024, 2 * launches.size());
  }
  launches.push_back(launch);
  launched.learn(launch.stamp);
}

void remember_region(RegionAccesses& accesses, const RegionKey& key, RegionAccess access) {
  if (accesses.all.size() >= accesses.limit) {
    std::erase_if(accesses.all, [](const auto& one) {
      return host_clock().knows({one.first.chain, one.second.position});
    });
    accesses.limit = std::max<size_t>(256, 2 * accesses.all.size());
  }
  accesses.all.insert_or_assign(key, access);
  touched.learn({key.chain, access.position});
}

[[noreturn]] void report(const char* what, uintptr_t address, bool writes, bool other_writes,
                         const std::string& other) {
  throw Fault(FaultKind::race,
              concat(what, writes ? " writes " : " reads ",
                     describe_address(reinterpret_cast<const void*>(address)), ", which ", other,
                     other_writes ? " writes" : " reads", kNothingOrders));
}

// Looks for accesses of kernels to the cells of one run.
void check_cells(const char* what, RaceCell* cells, uintptr_t base, uintptr_t begin, int64_t bytes,
                 bool writes, const WorkOrder& order, uint64_t oldest) {
  const uint64_t first = begin - base, end = first + static_cast<uint64_t>(bytes);
  for (uint64_t at = first / 2; 2 * at < end; ++at) {
    const unsigned mask = (2 * at >= first ? 1u : 0u) | (2 * at + 1 < end ? 2u : 0u);
    const RaceCell& cell = cells[at];
    const auto check = [&](AccessRecord record, int which) {
      const uint64_t block = block_of(record);
      if (block < oldest || (bytes_of_cell(record) & mask) == 0) return;
      if (comes_before(order, block)) return;
      report(what, std::max(begin, base + 2 * at), writes, which == 0,
             describe_earlier_kernel(block, cell.instruction[static_cast<size_t>(which)]));
    };
    check(cell.write, 0);
    if (!writes) continue;
    check(cell.read, 1);
    check(cell.read2, 2);
  }
}

}  // namespace

bool overlaps(const Region& region, uintptr_t begin, int64_t bytes) {
  const auto first = static_cast<int64_t>(begin - region.begin), end = first + bytes;
  if (end <= 0) return false;
  if (region.runs == 1) return first < region.bytes;
  const int64_t run = std::min(std::max<int64_t>(first, 0) / region.stride, region.runs - 1);
  if (first < run * region.stride + region.bytes && run * region.stride < end) return true;
  return run + 1 < region.runs && (run + 1) * region.stride < end;
}

bool overlaps(const Region& a, const Region& b) {
  const auto span = [](const Region& one) { return (one.runs - 1) * one.stride + one.bytes; };
  if (a.begin >= b.begin + static_cast<uintptr_t>(span(b)) ||
      b.begin >= a.begin + static_cast<uintptr_t>(span(a))) {
    return false;
  }
  for (int64_t run = 0; run < a.runs; ++run) {
    if (overlaps(b, a.begin + static_cast<uintptr_t>(run * a.stride), a.bytes)) return true;
  }
  return false;
}

void check_region(const char* what, const Region& region, bool writes) {
  const WorkOrder* order = running_order();
  if (order == nullptr || option("race") != "on" || is_rehearsal()) return;
  const Allocation* allocation = find_allocation(reinterpret_cast<const void*>(region.begin));
  if (allocation == nullptr || region.bytes == 0) return;
  Shadow& shadow = shadow_of(*allocation);
  if (!order->clock.knows_all_of(touched)) {
    for (const auto& [key, access] : shadow.regions.all) {
      if (!(writes || key.writes) || order->clock.knows({key.chain, access.position})) continue;
      if (!overlaps(region, key.region)) continue;
      report(what, region.begin, writes, key.writes, access.what);
    }
  }
  if (const uint64_t oldest = oldest_unordered(order, 0); oldest != 0) {
    for (int64_t run = 0; run < region.runs; ++run) {
      check_cells(what, shadow.cells.data(), allocation->begin,
                  region.begin + static_cast<uintptr_t>(run * region.stride), region.bytes, writes,
                  *order, oldest);
    }
  }
  remember_region(shadow.regions, {region, writes, order->stamp.chain},
                  {order->stamp.position, what});
}

EarlierWork::EarlierWork(const Program& program, uint64_t first_block, uint64_t blocks)
    : order_(running_order()),
      oldest_unordered_(cudacpu::oldest_unordered(order_, first_block)),
      regions_known_(order_ == nullptr || order_->clock.knows_all_of(touched)) {
  if (order_ != nullptr) remember_launch({first_block, blocks, order_->stamp, &program});
}

bool EarlierWork::comes_before(uint64_t block) const {
  return order_ == nullptr || cudacpu::comes_before(*order_, block);
}

const EarlierWork::List& EarlierWork::unordered_regions(const Allocation& allocation) {
  const auto [found, is_new] = lists_.try_emplace(&allocation);
  if (!is_new) return found->second;
  for (const auto& one : shadow_of(allocation).regions.all) {
    if (!order_->clock.knows({one.first.chain, one.second.position})) found->second.push_back(one);
  }
  return found->second;
}

const std::pair<RegionKey, RegionAccess>* EarlierWork::conflict(const Allocation& allocation,
                                                                uintptr_t address, int64_t bytes,
                                                                bool writes) {
  if (latest_ != &allocation) {
    latest_ = &allocation;
    latest_list_ = &unordered_regions(allocation);
  }
  for (const auto& one : *latest_list_) {
    if ((writes || one.first.writes) && overlaps(one.first.region, address, bytes)) return &one;
  }
  return nullptr;
}

std::string describe_earlier_kernel(uint64_t block, int instruction) {
  const PastLaunch* launch = launch_of(block);
  if (launch == nullptr) return "a kernel";
  return concat("kernel ", launch->program->name, ", ",
                describe_instruction(*launch->program, instruction), ",");
}

void forget_earlier_launches() {
  launches.clear();
}

}  // namespace funnel::cudacpu
