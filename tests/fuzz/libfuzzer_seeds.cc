// SPDX-License-Identifier: Apache-2.0
// Gives libFuzzer the seeds of a target: those are written into the first folder of its command
// line, before it is read.
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  namespace fs = std::filesystem;
  for (int i = 1; i < *argc; ++i) {
    const fs::path folder = (*argv)[i];
    if (!fs::is_directory(folder)) continue;
    int number = 0;
    for (const std::string& seed : funnel::testing::fuzz_seeds()) {
      std::ofstream(folder / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    }
    break;
  }
  return 0;
}
