// SPDX-License-Identifier: Apache-2.0
// Preloaded into a program, this makes the disk full: of what is written into files whose names
// begin with ".tmp-", FULL_DISK_BYTES bytes fit, then write() fails as the system's does.
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <string>

namespace {

bool is_temporary(int file) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = ::readlink(link.c_str(), path, sizeof(path) - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return ::strstr(path, "/.tmp-") != nullptr;
}

}  // namespace

extern "C" ssize_t write(int file, const void* bytes, size_t size) {
  using Write = ssize_t (*)(int, const void*, size_t);
  static const auto real = reinterpret_cast<Write>(::dlsym(RTLD_NEXT, "write"));
  const char* limit = ::getenv("FULL_DISK_BYTES");
  static size_t left = limit == nullptr ? 0 : ::strtoul(limit, nullptr, 10);
  if (limit == nullptr || !is_temporary(file)) return real(file, bytes, size);
  if (left == 0) {
    errno = ENOSPC;
    return -1;
  }
  const ssize_t written = real(file, bytes, size < left ? size : left);
  if (written > 0) left -= static_cast<size_t>(written);
  return written;
}
