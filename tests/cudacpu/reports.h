// SPDX-License-Identifier: Apache-2.0
// What the host runtime found wrong: misused calls and faults of kernels, as text. The call or a
// later one also returns an error code, but a program could ignore that: reports that nobody has
// taken when the process ends turn its exit code into kUntakenReports.
#pragma once

#include <string>
#include <vector>

namespace funnel::cudacpu {

inline constexpr int kUntakenReports = 88;

// Adds a report and, unless the option `reports` is `quiet`, prints it to stderr.
void report(const std::string& text);

// The reports since the last call.
std::vector<std::string> take_reports();

// After a kernel's fault every call of the process fails, as with a real device. This makes the
// devices usable again, their memory as the fault left it, so that a test can plant the next.
void clear_faults();

}  // namespace funnel::cudacpu
