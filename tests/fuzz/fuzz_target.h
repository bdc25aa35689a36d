// SPDX-License-Identifier: Apache-2.0
// What every target of a fuzzer defines: a reader that may reject its input, but must neither crash
// nor misread, and inputs to start from. The entry point is libFuzzer's, so that any fuzzer of that
// interface can drive a target; mutation_driver.cc needs nothing but the compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace funnel::testing {

// Valid inputs, at least one.
std::vector<std::string> fuzz_seeds();

}  // namespace funnel::testing
