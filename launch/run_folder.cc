// SPDX-License-Identifier: Apache-2.0
#include "launch/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>
#include <string_view>
#include <system_error>

#include "core/base/error.h"
#include "data/durable_file.h"

namespace funnel {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRunIdName = "run_id";
constexpr const char* kLockName = "lock";
constexpr size_t kRunIdDigits = 32;
constexpr std::string_view kHexDigits = "0123456789abcdef";

std::string make_run_id() {
  std::random_device source;
  std::string id;
  while (id.size() < kRunIdDigits) id += kHexDigits[source() % 16];
  return id;
}

// "host gpu03, process 4711, since 2026-01-31T12:00:00Z"
std::string describe_this_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return concat("host ", host.data(), ", process ", ::getpid(), ", since ", time.data());
}

std::string first_line(int file) {
  std::array<char, 512> text{};
  const ssize_t got = ::pread(file, text.data(), text.size() - 1, 0);
  const std::string all(text.data(), got > 0 ? static_cast<size_t>(got) : 0);
  return all.empty() ? "unknown" : all.substr(0, all.find('\n'));
}

}  // namespace

RunFolder::RunFolder(const fs::path& path) : path_(path) {
  make_folder();
  take_lock();
  try {
    read_or_make_run_id();
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() {
  ::close(lock_);
}

void RunFolder::make_folder() {
  std::error_code error;
  fs::create_directories(path_, error);
  FUNNEL_CHECK_INPUT(!error, "run folder ", path_.string(), ": cannot create: ", error.message());
  if (fs::exists(path_ / kRunIdName)) return;
  // A life that ended before it wrote the run id leaves a lock and hidden temporary files.
  for (fs::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    FUNNEL_CHECK_INPUT(name == kLockName || name.starts_with("."), "run folder ", path_.string(),
                       ": expected an empty folder or one of an earlier run, found ", name,
                       " and no file ", kRunIdName);
  }
  FUNNEL_CHECK_INPUT(!error, "run folder ", path_.string(), ": cannot list: ", error.message());
}

void RunFolder::take_lock() {
  const fs::path file = path_ / kLockName;
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  FUNNEL_CHECK_INPUT(lock_ >= 0, "run folder ", path_.string(),
                     ": cannot write: ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int cause = errno;
    const std::string holder = first_line(lock_);
    ::close(lock_);
    FUNNEL_CHECK_INPUT(cause != EWOULDBLOCK, "run folder ", path_.string(),
                       ": another job runs in it (", holder, ")");
    throw_usage("run folder ", path_.string(), ": cannot lock: ", std::strerror(cause));
  }
  const std::string holder = describe_this_process() + "\n";
  const bool written =
      ::ftruncate(lock_, 0) == 0 &&
      ::pwrite(lock_, holder.data(), holder.size(), 0) == static_cast<ssize_t>(holder.size());
  if (!written) {
    const int cause = errno;
    ::close(lock_);
    throw_usage("run folder ", path_.string(), ": cannot write: ", std::strerror(cause));
  }
}

void RunFolder::read_or_make_run_id() {
  const fs::path file = path_ / kRunIdName;
  if (!fs::exists(file)) {
    is_new_ = true;
    write_durably(file, make_run_id() + "\n");
  }
  run_id_ = read_text_file(file);
  const bool is_whole = run_id_.size() == kRunIdDigits + 1 && run_id_.back() == '\n' &&
                        run_id_.find_first_not_of(kHexDigits) == kRunIdDigits;
  FUNNEL_CHECK_INPUT(is_whole, file.string(), ": expected ", kRunIdDigits,
                     " hexadecimal digits and a line break, found ", run_id_.size(), " bytes");
  run_id_.pop_back();
}

}  // namespace funnel
