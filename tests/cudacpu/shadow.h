// SPDX-License-Identifier: Apache-2.0
// What the checkers know about memory beside its contents: which bytes have been written, and who
// touched them last. Kept in Allocation::shadow, made at first use.
//
// The host runtime reports its own accesses here; kernels' accesses come from the interpreter.
#pragma once

#include <cstdint>

namespace funnel::cudacpu {

// The host, or a library stand-in, has written `bytes` bytes at a device address (memset, copy to
// the device, a matrix product's output). Addresses without an allocation are ignored.
void note_written(const void* address, int64_t bytes);

// A device-to-device copy: the destination is as initialised as the source is.
void note_copied(const void* destination, const void* source, int64_t bytes);

// The first byte of the range that nobody has written, as an offset, or -1: for the runtime to
// refuse reading it. Always -1 if the initialisation checker is off.
int64_t first_unwritten(const void* address, int64_t bytes);

}  // namespace funnel::cudacpu
