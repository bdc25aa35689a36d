// SPDX-License-Identifier: Apache-2.0
// What the interpreter throws when a kernel does something wrong. The text names the kernel, block
// and thread, the PTX instruction with its source line, and what was expected and found.
#pragma once

#include <stdexcept>
#include <string>

namespace funnel::cudacpu {

enum class FaultKind {
  unsupported,    // the interpreter does not know the instruction; its text is in the message
  launch,         // a configuration no device accepts: block, grid, shared memory, parameters
  out_of_bounds,  // an address outside live device memory, shared memory or the stack
  misaligned,     // an address that its width does not divide
  uninitialised,  // a read of memory that nobody has written
  race,           // two accesses that nothing orders, one of them a write
  barrier,        // threads wait at different barriers, or for threads that never come
  warp_mask,      // a warp collective whose mask and callers disagree, or a wrong source lane
  async_copy,     // memory used while an asynchronous copy to it is not known to be complete
  trap,           // the kernel's own trap or failed assertion
  endless,        // a thread executed more instructions than any kernel of ours should
};

// "race", "out of bounds", …
const char* name_of(FaultKind kind);

class Fault : public std::runtime_error {
 public:
  Fault(FaultKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  FaultKind kind() const { return kind_; }

 private:
  FaultKind kind_;
};

}  // namespace funnel::cudacpu
