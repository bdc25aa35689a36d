// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/host_view.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace funnel::cudacpu {
namespace {

struct Unseen {
  Stamp stamp;
  char* to;
  std::vector<char> bytes;
};

std::vector<Unseen> all_unseen;  // in the order they ran

// Those for which arrives(one) is true.
template <class F>
void arrive(F&& arrives) {
  std::erase_if(all_unseen, [&](const Unseen& one) {
    if (!arrives(one)) return false;
    std::memcpy(one.to, one.bytes.data(), one.bytes.size());
    return true;
  });
}

}  // namespace

void write_for_host(char* to, const char* from, int64_t bytes) {
  all_unseen.push_back({running_order()->stamp, to, std::vector<char>(from, from + bytes)});
  std::memset(to, kPoison, static_cast<size_t>(bytes));
}

void show_host(const Clock& host) {
  arrive([&](const Unseen& one) { return host.knows(one.stamp); });
}

void show_device(const Allocation& allocation) {
  arrive([&](const Unseen& one) { return allocation.holds(one.to); });
}

}  // namespace funnel::cudacpu
