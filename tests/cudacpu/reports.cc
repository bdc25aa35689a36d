// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/reports.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "tests/cudacpu/options.h"

namespace funnel::cudacpu {
namespace {

std::mutex mutex;

std::vector<std::string>& untaken() {
  static std::vector<std::string>* all = new std::vector<std::string>;  // read at exit
  return *all;
}

void fail_if_untaken() {
  if (untaken().empty()) return;
  std::fflush(nullptr);
  std::fprintf(stderr, "cudacpu: %zu reports, the first of them: %s\n", untaken().size(),
               untaken().front().c_str());
  _exit(kUntakenReports);
}

}  // namespace

void report(const std::string& text) {
  const bool print = option("reports") == "print";
  const std::lock_guard lock(mutex);
  static const int registered = std::atexit(fail_if_untaken);
  static_cast<void>(registered);
  untaken().push_back(text);
  if (print) std::fprintf(stderr, "cudacpu: %s\n", text.c_str());
}

std::vector<std::string> take_reports() {
  const std::lock_guard lock(mutex);
  return std::exchange(untaken(), {});
}

}  // namespace funnel::cudacpu
