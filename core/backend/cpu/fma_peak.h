// SPDX-License-Identifier: Apache-2.0
// What one core of this machine can do at best, so that speeds can be stated as a share of it.
#pragma once

namespace funnel {

// Floating-point operations per second of one thread in f32 multiply-adds on registers, the best of
// a few runs of about 5 milliseconds.
double measure_fma_peak();

}  // namespace funnel
