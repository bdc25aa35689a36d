// SPDX-License-Identifier: Apache-2.0
// Runs the funnel-inspect program and looks into what it prints.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace funnel::testing {

struct Outcome {
  int exit_code = -1;
  std::string output;  // of both streams
};

inline Outcome inspect(const std::string& arguments) {
  const std::string command = std::string(FUNNEL_INSPECT) + " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Outcome outcome;
  char piece[4096];
  for (size_t bytes; (bytes = fread(piece, 1, sizeof(piece), pipe)) > 0;) {
    outcome.output.append(piece, bytes);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

// Whether a line starts with the name and has the value as words of its own; a line break at the
// value's end stands for the line's.
inline bool has_line(const std::string& output, const std::string& name, const std::string& value) {
  for (size_t at = 0; (at = output.find("\n  " + name + "  ", at)) != std::string::npos; ++at) {
    const std::string line = output.substr(at + 1, output.find('\n', at + 1) - at);
    const auto has = [&](const std::string& words) { return line.find(' ' + words) != line.npos; };
    if (has(value + ' ') || has(value + '\n') || (value.ends_with('\n') && has(value))) return true;
  }
  return false;
}

}  // namespace funnel::testing
