// SPDX-License-Identifier: Apache-2.0
// What each section should hold, computed on the host by other means than the engine's: integer
// arithmetic for roundings, the C library in double or long double for the rest.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/conformance/primitives.h"

namespace funnel::conformance {

// One of the two: bits, where the result is defined to the last bit (any NaN stands for any other
// in f32 and f64); or values, each with the error that a device may make.
struct Expectation {
  std::vector<uint64_t> bits;
  std::vector<double> values, errors;
  std::string allowed;  // the errors in words, for tables
};

std::map<std::string, Expectation> expectations();

// The parts of it.
std::map<std::string, Expectation> arithmetic_expectations();
std::map<std::string, Expectation> warp_expectations();

// The value that the bits of a section mean.
double value_of(Format format, uint64_t bits);

struct Verdict {
  int64_t wrong = 0;   // values out of their errors, or bits that differ
  double largest = 0;  // error over allowed error, the largest of all; 0 for bits
  std::string first;   // the first wrong value: where, found, expected
};

// Of a section against its expectation; Error if their sizes differ.
Verdict judge(const Section& section, const Expectation& expected);

}  // namespace funnel::conformance
