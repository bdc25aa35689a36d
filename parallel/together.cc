// SPDX-License-Identifier: Apache-2.0
#include "parallel/together.h"

#include <algorithm>
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
    if (mine) throw SharedError(mine->what(), mine->exit_code());
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
  const auto first = std::find_if(reports.begin(), reports.end(),
                                  [](const Report& report) { return report.failed != 0; });
  if (first == reports.end()) return;
  const bool all_say_so = std::all_of(reports.begin(), reports.end(), [&](const Report& report) {
    return std::strcmp(report.message, first->message) == 0;
  });
  const std::string who = all_say_so ? "" : concat("rank ", first - reports.begin(), ": ");
  throw SharedError(who + first->message, static_cast<ExitCode>(first->exit_code));
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
