// SPDX-License-Identifier: Apache-2.0
// What to change when a device's memory does not suffice: how many sequences at a time would fit.
#pragma once

#include <cstdint>
#include <string>

#include "launch/config.h"

namespace funnel {

// About how many bytes of device memory each of `ranks` needs when it computes `sequences` at a
// time, as many as a logical shard has: parameters, gradients, moments, partial sums, kept
// activations and scratch, with the room that arenas take while they grow in the first step.
int64_t device_bytes_needed(const RunConfig& config, int ranks, int64_t sequences);

// Ends the message of a rank that found only `obtainable` bytes: which train.logical_shards would
// need less than that, or that not even one sequence fits.
std::string what_would_fit(const RunConfig& config, int ranks, int64_t obtainable);

}  // namespace funnel
