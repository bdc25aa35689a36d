// SPDX-License-Identifier: Apache-2.0
// What the primitives gave on one device, as a text file: a line "device ...", then for each
// section a line "section NAME" with its values after it, in hexadecimal.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/conformance/expectations.h"

namespace funnel::conformance {

struct Recording {
  std::string device;
  std::vector<Section> sections;
};

// Errors name the file, the line, and what was expected.
void write_recording(const std::filesystem::path& file, const Recording& recording);
Recording read_recording(const std::filesystem::path& file, const std::vector<Section>& like);

// A section here beside the same of a recording: equal bits where they are defined, else within
// the sum of what either may be off.
Verdict compare(const Section& here, const Section& recorded, const Expectation& expected);

}  // namespace funnel::conformance
