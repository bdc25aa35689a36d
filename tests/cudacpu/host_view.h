// SPDX-License-Identifier: Apache-2.0
// What the host sees of page-locked memory that copies write: poison from when a copy runs until
// the host has waited for it, as late as a device may write, so that a host that reads too early
// never finds what it hoped for.
#pragma once

#include <cstdint>

#include "tests/cudacpu/memory.h"
#include "tests/cudacpu/stream_order.h"

namespace funnel::cudacpu {

// The work that runs copies to page-locked memory.
void write_for_host(char* to, const char* from, int64_t bytes);

// The host now knows all that `host` knows: those copies arrive.
void show_host(const Clock& host);

// A device uses the page-locked allocation: all copies to it arrive.
void show_device(const Allocation& allocation);

}  // namespace funnel::cudacpu
