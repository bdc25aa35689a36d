// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/decode.h"
namespace funnel::cudacpu {
std::vector<OpcodeEntry> async_opcodes() {
  return {};
}
}  // namespace funnel::cudacpu
