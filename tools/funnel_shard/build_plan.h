// SPDX-License-Identifier: Apache-2.0
// How a build is cut into work. The list of files is cut into jobs of about a shard's text each, by
// their bytes and in their order, never by ranks: whoever does a job, its bits are the same. A big
// uncompressed file becomes many jobs; a compressed one, standard input and ready examples are read
// from the beginning, in one job that makes several shards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/text_documents.h"
#include "tools/funnel_shard/build_options.h"

namespace funnel::shard_tool {

struct Job {
  std::vector<TextPiece> pieces;
  int64_t bytes = 0;  // of the pieces, as stored
  int64_t work = 0;   // bytes of text, estimated for compressed files
  bool stream = false;

  // HDF5 with examples of another program, instead of text.
  bool ready_examples() const { return pieces.front().file.format == TextFormat::hdf5; }
};

// Bytes of text that make about one shard.
int64_t shard_text_bytes(const BuildOptions& options);

// Cuts the files, in order, into jobs of at most about `text_bytes`.
std::vector<Job> cut_into_jobs(const std::vector<TextFile>& files, int64_t text_bytes);

// Which rank does each job: largest job first, to the rank with the least work so far; streams to
// rank 0, the only one that has standard input.
std::vector<int> assign_jobs(const std::vector<Job>& jobs, const std::vector<bool>& finished,
                             int ranks);

// All that the examples depend on, as text: a build goes on only where this is the same.
std::string plan_text(const BuildOptions& options, const std::string& vocab_sha256,
                      const std::vector<TextFile>& files);

// The files that a plan lists.
std::vector<TextFile> files_of_plan(const std::string& plan);

}  // namespace funnel::shard_tool
