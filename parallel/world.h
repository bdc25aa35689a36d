// SPDX-License-Identifier: Apache-2.0
// World is the lifetime of MPI in this process and this process's place among all ranks. It works
// with and without a launcher: started by hand, a process is the only rank.
#pragma once

#include <string>

namespace funnel {

class World {
 public:
  // Starts MPI. Only the thread that makes the World may communicate. At most one per process.
  World();
  // Ends MPI, except while an exception unwinds: then other ranks may still wait inside a
  // collective, and only the end of this process lets the launcher stop them.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Among the ranks of this host.
  int node_rank() const { return node_rank_; }
  int node_size() const { return node_size_; }
  const std::string& host() const { return host_; }

  // Ends every rank of the job at once. The launcher returns the exit code.
  [[noreturn]] static void abort(int exit_code);

 private:
  int exceptions_at_start_;
  int rank_ = 0;
  int size_ = 1;
  int node_rank_ = 0;
  int node_size_ = 1;
  std::string host_;
};

}  // namespace funnel
