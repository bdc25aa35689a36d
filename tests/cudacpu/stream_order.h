// SPDX-License-Identifier: Apache-2.0
// Which work comes before which, whatever the streams' schedule: what the race checker asks about
// accesses of different pieces of work.
//
// A chain is a sequence of works each of which comes after the one before: a stream's, or those of
// one captured stream within the graphs launched into another. A work's clock says up to which
// position it comes after the works of each chain, its own included. The host has a clock too, of
// what it has waited for; whatever it issues comes after that. All threads share it: how they wait
// for each other is not seen, so that nothing is reported which they may have ordered.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace funnel::cudacpu {

// Position 0 is before everything.
struct Stamp {
  uint32_t chain = 0;
  uint32_t position = 0;
};

class Clock {
 public:
  bool knows(Stamp one) const {
    return one.position == 0 || (one.chain < until_.size() && one.position <= until_[one.chain]);
  }
  bool knows_all_of(const Clock& other) const;
  void learn(Stamp one);
  void join(const Clock& other);

 private:
  std::vector<uint32_t> until_;  // by chain, inclusive
};

// Of a piece of work.
struct WorkOrder {
  Stamp stamp;
  Clock clock;
};

// The chains of the process, and what its host knows. Guarded by the runtime's lock.
class Chains {
 public:
  uint32_t begin();
  void end(uint32_t chain);
  // The chain of what was captured in one stream and is launched in another.
  uint32_t of_graph(uint32_t launching, uint32_t captured);
  // The place of new work at the end of a chain, after `clock` and what the host knows.
  WorkOrder append(uint32_t chain, Clock clock);

  Clock host;

 private:
  Stamp last(uint32_t chain) const { return {chain, positions_[chain]}; }
  std::vector<uint32_t> positions_;  // the latest of each chain
  std::vector<uint32_t> ended_;      // to be used again once the host knows all of them
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> of_graphs_;
};

// The order of the work that runs now; null where no stream is involved, which is after everything.
const WorkOrder* running_order();
void set_running_order(const WorkOrder* order);

}  // namespace funnel::cudacpu
