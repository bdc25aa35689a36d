// SPDX-License-Identifier: Apache-2.0
// The race checker between pieces of work: two that nothing orders, not a stream, an event or a
// synchronisation of the host, must not access the same bytes if one of them writes.
//
// Accesses of kernels are remembered cell by cell (race.h); those of copies, fills and libraries as
// regions, the latest of each chain. As long as everything that has run comes before what runs now,
// the usual case, a comparison of clocks is all there is to do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/cudacpu/kernel.h"
#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/stream_order.h"

namespace funnel::cudacpu {

struct Program;

// `runs` runs of `bytes` bytes, each `stride` behind the one before, which it does not reach.
struct Region {
  uintptr_t begin = 0;
  int64_t bytes = 0, runs = 1, stride = 0;
  auto operator<=>(const Region&) const = default;
};
inline Region region_of(const void* address, int64_t bytes) {
  return {reinterpret_cast<uintptr_t>(address), bytes};
}
bool overlaps(const Region& region, uintptr_t begin, int64_t bytes);
bool overlaps(const Region& a, const Region& b);

struct RegionKey {
  Region region;
  bool writes = false;
  uint32_t chain = 0;
  auto operator<=>(const RegionKey&) const = default;
};
struct RegionAccess {
  uint32_t position = 0;
  const char* what = nullptr;
};
// Those to one allocation.
struct RegionAccesses {
  std::map<RegionKey, RegionAccess> all;
  size_t limit = 256;  // of its size: then it is looked through for what everybody knows
};

// The work that runs accesses the region, which lies in one allocation or in none of ours. `what`
// says who, as "a copy". Throws Fault of kind race.
void check_region(const char* what, const Region& region, bool writes);

// One launch's view of all that ran before.
class EarlierWork {
 public:
  // Also notes the launch for those to come: its blocks have the ids from `first_block` on.
  EarlierWork(const Program& program, uint64_t first_block, uint64_t blocks);

  // Blocks with smaller ids than this come before the launch.
  uint64_t oldest_unordered() const { return oldest_unordered_; }
  // Whether the launch that a block belongs to comes before this one.
  bool comes_before(uint64_t block) const;
  // Whether all accesses that are no kernel's come before.
  bool knows_regions() const { return regions_known_; }
  // An access that is no kernel's, which conflicts with one of this launch; null if there is none.
  // Valid until the next call.
  const std::pair<RegionKey, RegionAccess>* conflict(const Allocation& allocation,
                                                     uintptr_t address, int64_t bytes, bool writes);

 private:
  using List = std::vector<std::pair<RegionKey, RegionAccess>>;
  const List& unordered_regions(const Allocation& allocation);

  const WorkOrder* order_;
  uint64_t oldest_unordered_;
  bool regions_known_;
  std::unordered_map<const Allocation*, List> lists_;
  const Allocation* latest_ = nullptr;
  const List* latest_list_ = nullptr;
};

// The end of every report.
inline constexpr const char* kNothingOrders =
    ": no stream, event or synchronisation orders the two";

// The kernel that the block belonged to and one of its instructions, for reports.
std::string describe_earlier_kernel(uint64_t block, int instruction);

// No block id is remembered any more.
void forget_earlier_launches();

}  // namespace funnel::cudacpu
