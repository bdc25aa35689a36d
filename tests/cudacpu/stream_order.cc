// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/stream_order.h"

#include <algorithm>

namespace funnel::cudacpu {
namespace {

const WorkOrder* running = nullptr;

}  // namespace

bool Clock::knows_all_of(const Clock& other) const {
  for (size_t i = 0; i < other.until_.size(); ++i) {
    if (other.until_[i] > (i < until_.size() ? until_[i] : 0)) return false;
  }
  return true;
}

void Clock::learn(Stamp one) {
  if (one.chain >= until_.size()) until_.resize(one.chain + 1);
  until_[one.chain] = std::max(until_[one.chain], one.position);
}

void Clock::join(const Clock& other) {
  if (other.until_.size() > until_.size()) until_.resize(other.until_.size());
  for (size_t i = 0; i < other.until_.size(); ++i) {
    until_[i] = std::max(until_[i], other.until_[i]);
  }
}

uint32_t Chains::begin() {
  const auto known = std::find_if(ended_.begin(), ended_.end(),
                                  [this](uint32_t one) { return host.knows(last(one)); });
  if (known != ended_.end()) {
    const uint32_t chain = *known;
    ended_.erase(known);
    return chain;
  }
  positions_.push_back(0);
  return static_cast<uint32_t>(positions_.size() - 1);
}

void Chains::end(uint32_t chain) {
  ended_.push_back(chain);
}

uint32_t Chains::of_graph(uint32_t launching, uint32_t captured) {
  const auto [found, is_new] = of_graphs_.try_emplace({launching, captured}, 0);
  if (is_new) found->second = begin();
  return found->second;
}

WorkOrder Chains::append(uint32_t chain, Clock clock) {
  WorkOrder order{{chain, ++positions_[chain]}, std::move(clock)};
  order.clock.join(host);
  order.clock.learn(order.stamp);
  return order;
}

const WorkOrder* running_order() {
  return running;
}

void set_running_order(const WorkOrder* order) {
  running = order;
}

}  // namespace funnel::cudacpu
