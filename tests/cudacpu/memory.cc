// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/memory.h"

#include <sys/mman.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <sstream>

#include "tests/cudacpu/options.h"

namespace funnel::cudacpu {
namespace {

constexpr int64_t kReserved = int64_t{1} << 38;  // addresses of each range below, never memory
constexpr int64_t kPage = 4096;
constexpr int64_t kAlign = 256;  // what cudaMalloc promises

// A range of reserved addresses, of which the kernel provides memory page by page when written.
char* reserve(int protection) {
  void* range =
      mmap(nullptr, kReserved, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) {
    std::perror("cudacpu: cannot reserve addresses");
    std::abort();
  }
  return static_cast<char*>(range);
}

struct Table {
  std::mutex mutex;
  char* addresses = reserve(PROT_NONE);  // what device pointers point to
  char* storage = reserve(PROT_READ | PROT_WRITE);
  int64_t used = 0;  // of the range
  std::deque<Allocation> all;
  std::map<uintptr_t, Allocation*> by_begin;
  std::map<int, int64_t> in_use;  // bytes of each device
  int64_t limit = option_number("memory");
};

Table& table() {
  static Table* one = new Table;  // outlives static destructors, which may free device memory
  return *one;
}

const char* name_of(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::device:
      return "device allocation";
    case MemoryKind::pinned:
      return "pinned allocation";
    case MemoryKind::variable:
      return "device variable";
  }
  return "?";
}

// The allocation, freed or not, that begins at or before the address and whose page gap behind it
// still covers the address. Locked by the caller.
Allocation* nearest(const Table& table, uintptr_t address) {
  auto next = table.by_begin.upper_bound(address);
  if (next == table.by_begin.begin()) return nullptr;
  return std::prev(next)->second;
}

bool in_range(const char* range, uintptr_t address) {
  return address - reinterpret_cast<uintptr_t>(range) < static_cast<uintptr_t>(kReserved);
}

bool is_ours(const Table& table, uintptr_t address) {
  return in_range(table.addresses, address) || in_range(table.storage, address);
}

}  // namespace

const Allocation* allocate(MemoryKind kind, int64_t bytes, int device) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const bool on_device = kind != MemoryKind::pinned;
  if (on_device && bytes > t.limit - t.in_use[device]) return nullptr;
  // Pages of its own, a page of gap behind it, and aligned to 256 bytes but not to 512.
  const int64_t pages = (kAlign + bytes + kPage - 1) / kPage * kPage;
  if (pages > kReserved - kPage - t.used) return nullptr;
  Allocation& made = t.all.emplace_back();
  made.storage = t.storage + t.used + kAlign;
  made.begin = reinterpret_cast<uintptr_t>((on_device ? t.addresses : t.storage) + t.used + kAlign);
  made.bytes = bytes;
  made.kind = kind;
  made.device = device;
  made.serial = static_cast<int64_t>(t.all.size());
  t.used += pages + kPage;
  if (!is_rehearsal()) std::memset(made.storage, kPoison, bytes);  // fresh pages are zeros
  t.by_begin.emplace(made.begin, &made);
  if (on_device) t.in_use[device] += bytes;
  return &made;
}

bool release(const void* address) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const auto found = t.by_begin.find(reinterpret_cast<uintptr_t>(address));
  if (found == t.by_begin.end() || !found->second->live) return false;
  Allocation& gone = *found->second;
  gone.live = false;
  gone.shadow.reset();
  if (gone.kind != MemoryKind::pinned) t.in_use[gone.device] -= gone.bytes;
  char* first_page = gone.storage - kAlign;
  const int64_t pages = (kAlign + gone.bytes + kPage - 1) / kPage * kPage;
  madvise(first_page, pages, MADV_DONTNEED);
  // A host that keeps using freed pinned memory crashes instead of reading zeros.
  mprotect(first_page, pages, PROT_NONE);
  return true;
}

const Allocation* find_allocation(const void* address) {
  // Kernels go back and forth between a few arrays: remember the latest hit of each 64 KiB.
  thread_local std::array<const Allocation*, 256> recent{};
  const Allocation*& hit = recent[(reinterpret_cast<uintptr_t>(address) >> 16) % recent.size()];
  if (hit != nullptr && hit->holds(address) && hit->live.load(std::memory_order_relaxed)) {
    return hit;
  }
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const Allocation* found = nearest(t, reinterpret_cast<uintptr_t>(address));
  if (found == nullptr || !found->holds(address) || !found->live) return nullptr;
  hit = found;
  return found;
}

bool is_simulated_address(const void* address) {
  return is_ours(table(), reinterpret_cast<uintptr_t>(address));
}

std::string describe_address(const void* address) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const auto value = reinterpret_cast<uintptr_t>(address);
  std::ostringstream text;
  const Allocation* found = is_ours(t, value) ? nearest(t, value) : nullptr;
  if (address == nullptr) {
    text << "a null pointer";
  } else if (found == nullptr) {
    text << address << ", no device or pinned memory";
  } else {
    text << "byte " << value - found->begin << " of " << (found->live ? "" : "the freed ")
         << name_of(found->kind) << ' ' << found->serial << " of " << found->bytes << " bytes";
  }
  return text.str();
}

std::vector<const Allocation*> live_allocations() {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  std::vector<const Allocation*> live;
  for (const Allocation& one : t.all) {
    if (one.live && one.kind != MemoryKind::variable) live.push_back(&one);
  }
  return live;
}

int64_t device_bytes_in_use(int device) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  return t.in_use[device];
}

int64_t device_memory_limit() {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  return t.limit;
}

void set_device_memory_limit(int64_t bytes) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  t.limit = bytes;
}

}  // namespace funnel::cudacpu
