// SPDX-License-Identifier: Apache-2.0
// What tests ask of the host runtime, in a build of the same tests for a real device: streams and
// devices are what they are there, and nothing counts calls.
#include "tests/cudacpu/call_counts.h"
#include "tests/cudacpu/options.h"

namespace funnel::cudacpu {

void set_option(const std::string&, const std::string&) {}

CallCounts call_counts() {
  return {};
}

bool counts_calls() {
  return false;
}

}  // namespace funnel::cudacpu
