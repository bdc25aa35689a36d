// SPDX-License-Identifier: Apache-2.0
// What "funnel-inspect run" prints: what a run has learned, how fast it went, what it has saved and
// what to type next.
#pragma once

#include <filesystem>
#include <string>

namespace funnel {

// Only reads, so that a run at work can be looked at. `programs` is the folder that the commands to
// type next are given with; empty: none. Throws an input error where there is no run.
std::string run_report(const std::filesystem::path& run, const std::filesystem::path& programs);

}  // namespace funnel
