// SPDX-License-Identifier: Apache-2.0
#include "parallel/together.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace funnel {
namespace {

// Fixed size, so that one all_gather does; a longer message is cut.
struct Report {
  int32_t failed = 0;
  int32_t exit_code = 0;
  char message[2040] = {};
};

}  // namespace

void throw_together(Comm& comm, const std::optional<Error>& mine) {
  if (comm.size() == 1) {
    if (mine) throw *mine;
    return;
  }
  Report report;
  if (mine) {
    report.failed = 1;
    report.exit_code = static_cast<int32_t>(mine->exit_code());
    std::strncpy(report.message, mine->what(), sizeof(report.message) - 1);
  }
  const auto bytes = static_cast<int64_t>(sizeof(Report));
  std::vector<Report> reports(comm.size());
  comm.all_gather(ConstTensor(&report, {bytes}, DType::u8),
                  Tensor(reports.data(), {bytes * comm.size()}, DType::u8));
  for (int rank = 0; rank < comm.size(); ++rank) {
    if (reports[rank].failed == 0) continue;
    throw Error(concat("rank ", rank, ": ", reports[rank].message),
                static_cast<ExitCode>(reports[rank].exit_code));
  }
}

void broadcast_text(Comm& comm, std::string& text, int root) {
  auto size = static_cast<int32_t>(text.size());
  FUNNEL_CHECK(static_cast<size_t>(size) == text.size(), "broadcast_text: a text of ", text.size(),
               " bytes is too long");
  comm.broadcast(Tensor(&size, {1}, DType::i32), root);
  text.resize(size);
  comm.broadcast(Tensor(text.data(), {size}, DType::u8), root);
}

}  // namespace funnel
