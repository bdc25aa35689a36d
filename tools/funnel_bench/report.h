// SPDX-License-Identifier: Apache-2.0
// What was measured, as tables for people and as JSON for scripts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/funnel_bench/measurement.h"
#include "tools/funnel_bench/step_bench.h"

namespace funnel {

// With the rate of a copy also each row's share of it.
void print_measurements(const std::vector<Measurement>& measurements, double copy_bytes_per_ms = 0);
void print_step(const StepTimes& times);

// An input error if the file cannot be written. An unwritten output's error is null in JSON, the
// time of what was not timed is missing.
void write_measurements(const std::filesystem::path& file, const std::string& device,
                        const std::vector<Measurement>& measurements);
void write_step(const std::filesystem::path& file, const std::string& device,
                const StepTimes& times);

}  // namespace funnel
