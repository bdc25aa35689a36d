// SPDX-License-Identifier: Apache-2.0
#include "core/base/error.h"

#include <string_view>

namespace funnel::detail {

void throw_check_failure(const char* file, int line, const std::string& message) {
  std::string_view path(file);
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  throw Error(concat(message, " (", path, ":", line, ")"));
}

}  // namespace funnel::detail
