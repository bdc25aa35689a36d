// SPDX-License-Identifier: Apache-2.0
// The one exception of the library and the checks that throw it.
//
// A message states what was expected and what was found, and of what:
//     FUNNEL_CHECK(rows == 8, "pool: expected 8 rows, found ", rows);
// The library never prints, exits or aborts; only main turns an Error into an exit code.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace funnel {

// What the process should do about an error: the exit code that main returns for it.
enum class ExitCode : int {
  kDone = 0,
  kFailure = 1,      // a crash that deserves another life
  kUsage = 2,        // wrong command line, config, data or run folder: fix the input
  kSaved = 75,       // stopped on request after saving; wants another life
  kHung = 86,        // ended by the watchdog
  kNeedsHuman = 93,  // another life would not help
};

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitCode exit_code = ExitCode::kFailure)
      : std::runtime_error(message), exit_code_(exit_code) {}
  ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

// Concatenates the parts as an ostream would print them.
template <class... Parts>
std::string concat(Parts&&... parts) {
  std::ostringstream out;
  (out << ... << std::forward<Parts>(parts));
  return std::move(out).str();
}

// Throws the Error of a bad input (exit code 2).
template <class... Parts>
[[noreturn]] void throw_usage(Parts&&... parts) {
  throw Error(concat(std::forward<Parts>(parts)...), ExitCode::kUsage);
}

namespace detail {
[[noreturn]] void throw_check_failure(const char* file, int line, const std::string& message);
}  // namespace detail

}  // namespace funnel

// Always on. For what a caller of the library can get wrong.
#define FUNNEL_CHECK(condition, ...)                                                            \
  do {                                                                                          \
    if (!(condition)) [[unlikely]] {                                                            \
      ::funnel::detail::throw_check_failure(__FILE__, __LINE__, ::funnel::concat(__VA_ARGS__)); \
    }                                                                                           \
  } while (false)

// For what a user of the programs can get wrong: the message stands alone, the exit code is 2.
#define FUNNEL_CHECK_INPUT(condition, ...) \
  do {                                     \
    if (!(condition)) [[unlikely]] {       \
      ::funnel::throw_usage(__VA_ARGS__);  \
    }                                      \
  } while (false)
