// SPDX-License-Identifier: Apache-2.0
// Expects that a call throws funnel::Error with an exit code, and a message that names things.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "core/base/error.h"

namespace funnel::testing {

template <class F>
void expect_error(ExitCode code, std::initializer_list<std::string> parts, F&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.exit_code()), static_cast<int>(code)) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "expected '" << part << "' in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "expected an Error, found none";
}

}  // namespace funnel::testing
