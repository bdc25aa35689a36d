// SPDX-License-Identifier: Apache-2.0
#include "data/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace funnel {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int number() const { return number_; }

  // False with errno set when the system reports a late write error.
  bool close() {
    const int number = number_;
    number_ = -1;
    return ::close(number) == 0;
  }

 private:
  int number_;
};

// False with errno set on failure. A write may be short or interrupted.
bool write_all(int file, std::span<const char> bytes) {
  while (!bytes.empty()) {
    // The kernel takes at most 2^31 - 4096 bytes at once.
    const size_t piece = std::min<size_t>(bytes.size(), size_t{1} << 30);
    const ssize_t written = ::write(file, bytes.data(), piece);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

[[noreturn]] void fail(const std::filesystem::path& path, const char* doing, int error) {
  throw Error(concat(path.string(), ": cannot ", doing, ": ", std::strerror(error)));
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace

void sync_folder(const std::filesystem::path& folder) {
  FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number() < 0) fail(folder, "open the folder", errno);
  // Some network file systems refuse to sync a folder; they order renames themselves.
  if (::fsync(directory.number()) != 0 && errno != EINVAL) fail(folder, "sync the folder", errno);
}

void write_durably(const std::filesystem::path& path, std::span<const char> bytes) {
  const std::filesystem::path temporary =
      folder_of(path) / concat(".tmp-", path.filename().string(), "-", ::getpid());
  FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.number() < 0) fail(path, "create", errno);
  const char* doing = "write";
  bool done = write_all(file.number(), bytes);
  if (done) {
    doing = "sync";
    done = ::fsync(file.number()) == 0;
  }
  if (done) {
    doing = "close";
    done = file.close();
  }
  if (done) {
    doing = "rename into place";
    done = ::rename(temporary.c_str(), path.c_str()) == 0;
  }
  if (!done) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail(path, doing, error);
  }
  sync_folder(folder_of(path));
}

std::vector<char> read_file(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  FUNNEL_CHECK_INPUT(file.number() >= 0, path.string(), ": cannot open: ", std::strerror(errno));
  struct stat status {};
  FUNNEL_CHECK_INPUT(::fstat(file.number(), &status) == 0 && S_ISREG(status.st_mode), path.string(),
                     ": expected a regular file");
  std::vector<char> bytes(static_cast<size_t>(status.st_size));
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file.number(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    FUNNEL_CHECK_INPUT(got >= 0, path.string(), ": cannot read: ", std::strerror(errno));
    FUNNEL_CHECK_INPUT(got > 0, path.string(), ": expected ", bytes.size(), " bytes, found ",
                       filled);
    filled += static_cast<size_t>(got);
  }
  return bytes;
}

std::string read_text_file(const std::filesystem::path& path) {
  const std::vector<char> bytes = read_file(path);
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace funnel
