// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/shadow.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "tests/cudacpu/options.h"
#include "tests/cudacpu/shadow_map.h"

namespace funnel::cudacpu {

template <class T>
LazyArray<T>::LazyArray(int64_t count) : count_(count) {
  const size_t bytes = static_cast<size_t>(count > 0 ? count : 1) * sizeof(T);
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<T*>(pages);
}

template <class T>
LazyArray<T>::~LazyArray() {
  munmap(data_, static_cast<size_t>(count_ > 0 ? count_ : 1) * sizeof(T));
}

template <class T>
void LazyArray<T>::clear() {
  std::memset(static_cast<void*>(data_), 0, static_cast<size_t>(count_) * sizeof(T));
}

template class LazyArray<uint8_t>;
template class LazyArray<RaceCell>;

Shadow& shadow_of(const Allocation& allocation) {
  if (allocation.shadow == nullptr) {
    auto made = std::make_shared<Shadow>(allocation.bytes);
    if (allocation.kind != MemoryKind::device) {
      std::memset(made->written.data(), 1, static_cast<size_t>(allocation.bytes));
    }
    allocation.shadow = made;
  }
  return *static_cast<Shadow*>(allocation.shadow.get());
}

namespace {

bool checks_initialisation() {
  return option("init") == "on";
}

// The range's map if all of it lies in one live allocation, else null.
uint8_t* map_of(const void* address, int64_t bytes) {
  const Allocation* found = find_allocation(address);
  if (found == nullptr || !found->holds(address, bytes)) return nullptr;
  return shadow_of(*found).written.data() + (reinterpret_cast<uintptr_t>(address) - found->begin);
}

}  // namespace

void note_written(const void* address, int64_t bytes) {
  if (!checks_initialisation()) return;
  uint8_t* map = map_of(address, bytes);
  if (map != nullptr) std::memset(map, 1, static_cast<size_t>(bytes));
}

void note_copied(const void* destination, const void* source, int64_t bytes) {
  if (!checks_initialisation()) return;
  const uint8_t* from = map_of(source, bytes);
  uint8_t* to = map_of(destination, bytes);
  if (to == nullptr) return;
  if (from != nullptr)
    std::memmove(to, from, static_cast<size_t>(bytes));
  else
    std::memset(to, 1, static_cast<size_t>(bytes));
}

int64_t first_unwritten(const void* address, int64_t bytes) {
  if (!checks_initialisation() || bytes <= 0) return -1;
  const uint8_t* map = map_of(address, bytes);
  if (map == nullptr) return -1;
  const void* found = std::memchr(map, 0, static_cast<size_t>(bytes));
  return found == nullptr ? -1 : static_cast<const uint8_t*>(found) - map;
}

}  // namespace funnel::cudacpu
