// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/options.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

namespace funnel::cudacpu {
namespace {

// Name, default; what the values mean.
const std::map<std::string, std::string> kDefaults = {
    // The runtime.
    {"streams", "eager"},      // when work runs: eager, lazy, newest (runtime.h)
    {"devices", "1"},          // number of devices, 0 to 16
    {"memory", "4G"},          // bytes of each device
    {"capability", "90"},      // compute capability times 10; below 80: no kernel fits
    {"driver", "13000"},       // the driver's CUDA version; below 13000: older than the toolkit
    {"multiprocessors", "4"},  // of each device; more make more blocks to interpret
    {"reports", "print"},      // print: tell every fault on stderr; quiet: only keep it
    // The interpreter.
    {"race", "on"},             // on, off: look for accesses that nothing orders
    {"init", "on"},             // on, off: look for reads of memory that nobody has written
    {"schedule", "ascending"},  // order of blocks, warps: ascending, descending, random:SEED
    {"loops", "256M"},          // more backward branches of a warp in a block: no end
    {"mma", "rounded"},         // sums of mma: rounded once, ordered (IEEE, in order), truncated
    {"statistics", "off"},      // on: count what kernels do (statistics.h)
    {"blocks", "all"},          // a number: a rehearsal, which runs so many blocks of each launch
};

[[noreturn]] void refuse(const std::string& message) {
  std::fprintf(stderr, "FUNNEL_CUDACPU: %s\n", message.c_str());
  std::exit(2);
}

std::map<std::string, std::string> read_environment() {
  std::map<std::string, std::string> values = kDefaults;
  const char* text = std::getenv("FUNNEL_CUDACPU");
  std::istringstream list(text == nullptr ? "" : text);
  for (std::string item; std::getline(list, item, ',');) {
    const size_t equals = item.find('=');
    const auto found = values.find(item.substr(0, equals));
    if (equals == std::string::npos || found == values.end()) {
      refuse("expected NAME=VALUE with a known name, found '" + item + "'");
    }
    found->second = item.substr(equals + 1);
  }
  return values;
}

std::mutex mutex;

std::map<std::string, std::string>& values() {
  static std::map<std::string, std::string> all = read_environment();
  return all;
}

}  // namespace

const std::string& option(const std::string& name) {
  const std::lock_guard lock(mutex);
  const auto found = values().find(name);
  if (found == values().end()) refuse("no option is called '" + name + "'");
  return found->second;
}

int64_t option_number(const std::string& name) {
  const std::string& text = option(name);
  char* end = nullptr;
  int64_t number = std::strtoll(text.c_str(), &end, 10);
  if (*end == 'K')
    number <<= 10, ++end;
  else if (*end == 'M')
    number <<= 20, ++end;
  else if (*end == 'G')
    number <<= 30, ++end;
  if (text.empty() || *end != '\0') {
    refuse("expected a number for " + name + ", found '" + text + "'");
  }
  return number;
}

bool is_rehearsal() {
  return option("blocks") != "all";
}

void set_option(const std::string& name, const std::string& value) {
  const std::lock_guard lock(mutex);
  const auto found = values().find(name);
  if (found == values().end()) refuse("no option is called '" + name + "'");
  found->second = value;
}

}  // namespace funnel::cudacpu
