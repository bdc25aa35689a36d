// SPDX-License-Identifier: Apache-2.0
// How much text was read in how long, as a line for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <iomanip>
#include <sstream>
#include <string>

namespace funnel::shard_tool {

class Throughput {
 public:
  // `cpu_seconds`: of all processes that took part; this one's alone without it.
  std::string line(int64_t bytes) const { return line(bytes, cpu_seconds_of_process()); }
  std::string line(int64_t bytes, double cpu_seconds) const {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
    const double megabytes = static_cast<double>(bytes) / 1e6;
    std::ostringstream out;
    out << std::fixed << std::setprecision(1) << megabytes << " MB of text in " << elapsed.count()
        << " s, " << megabytes / elapsed.count() << " MB/s; " << megabytes / cpu_seconds
        << " MB/s of CPU time";
    return out.str();
  }

 private:
  static double cpu_seconds_of_process() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  }

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace funnel::shard_tool
