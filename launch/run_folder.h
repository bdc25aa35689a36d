// SPDX-License-Identifier: Apache-2.0
// The folder of one run and its lock. It is opened by rank 0 only:
//     run_id            made once; marks the folder as ours
//     lock              held by the running job; says which host and process
//     config.textproto  log.txt  metrics.jsonl  checkpoints/
#pragma once

#include <filesystem>
#include <string>

namespace funnel {

class RunFolder {
 public:
  // Makes the folder, or opens one made before, and takes its lock until destruction. A dead job's
  // lock is taken over. Input errors: a folder with other contents, one that cannot be written,
  // one in which another job runs (named by host and process).
  explicit RunFolder(const std::filesystem::path& path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // 32 hexadecimal digits, the same in every life of the run.
  const std::string& run_id() const { return run_id_; }
  // Whether this process made the folder's run id.
  bool is_new() const { return is_new_; }

  std::filesystem::path config() const { return path_ / "config.textproto"; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

 private:
  void make_folder();
  void take_lock();
  void read_or_make_run_id();

  std::filesystem::path path_;
  std::string run_id_;
  bool is_new_ = false;
  int lock_ = -1;  // file descriptor; the lock ends with it, also when the process is killed
};

}  // namespace funnel
