// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/report.h"

#include <algorithm>
#include <optional>

#include "data/data_statistics.h"
#include "data/durable_file.h"
#include "parallel/together.h"

namespace funnel::shard_tool {
namespace {

// Numbers sent at a time, so that a thousand ranks' fit into memory.
constexpr int64_t kPiece = 4096;

// Overwrites `values`, whole numbers below 2^53, with their sums over ranks.
void sum_over_ranks(Comm& comm, std::vector<double>& values) {
  std::vector<double> all(static_cast<size_t>(kPiece * comm.size()));
  const auto count = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t size = std::min(kPiece, count - begin);
    double* mine = values.data() + begin;
    comm.all_gather(ConstTensor(mine, {size}, DType::f64),
                    Tensor(all.data(), {size * comm.size()}, DType::f64));
    std::fill_n(mine, size, 0.0);
    for (int64_t i = 0; i < size * comm.size(); ++i) mine[i % size] += all[static_cast<size_t>(i)];
  }
}

}  // namespace

std::string write_report(const std::filesystem::path& folder, Comm& comm) {
  std::optional<DataSet> data;
  std::optional<DataStatistics> statistics;
  together(comm, [&] {
    data = DataSet::open(folder);
    statistics = count_examples(*data, comm.rank(), comm.size(), data->chunks());
  });
  std::vector<double> values;
  statistics->for_each_count([&](int64_t count) { values.push_back(static_cast<double>(count)); });
  sum_over_ranks(comm, values);
  size_t next = 0;
  statistics->for_each_count([&](int64_t& count) { count = static_cast<int64_t>(values[next++]); });
  std::string text;
  together(comm, [&] {
    if (comm.rank() != 0) return;
    text = report_text(data->index(), *statistics);
    write_durably(folder / kReportFile, text);
  });
  return text;
}

}  // namespace funnel::shard_tool
