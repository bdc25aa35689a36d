// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/funnel_inspect/table.h"

namespace funnel {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Measurement& m) {
  Json row{{"name", m.name},
           {"part", m.part},
           {"path", m.path},
           {"dtype", name_of(m.dtype)},
           {"flops", m.flops},
           {"bytes", m.bytes},
           {"error", std::isnan(m.error) ? Json() : Json(m.error)},
           {"tolerance", m.tolerance},
           {"bits_repeat", m.bits_repeat},
           {"right", m.right()}};
  if (m.milliseconds) row["ms"] = *m.milliseconds;
  if (!m.algorithm_ms.empty() || m.wrong_algorithms > 0) {
    row["algorithm_ms"] = m.algorithm_ms;
    row["wrong_algorithms"] = m.wrong_algorithms;
  }
  return row;
}

void write(const std::filesystem::path& path, const Json& document) {
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  file.close();
  FUNNEL_CHECK_INPUT(file.good(), path.string(), ": cannot be written");
}

std::string percent(double share) {
  return fixed(100 * share, 1) + "%";
}

void print_parts(const StepTimes& times) {
  Table table;
  table.add({times.on_cpu ? "per logical shard, one thread" : "per logical shard", "calls", "GFLOP",
             "forward ms", "backward ms", "floor ms", "of peak"});
  for (const BenchRow& row : times.parts) {
    const double floor_ms = 1e3 * row.flops / times.peak_flops;
    table.add({row.name, std::to_string(row.calls), fixed(row.flops / 1e9, 2),
               fixed(row.forward_ms, 2), fixed(row.backward_ms, 2), fixed(floor_ms, 2),
               row.flops == 0 ? "" : percent(floor_ms / row.milliseconds())});
  }
  std::fputs(table.text().c_str(), stdout);
}

// How the library's own choice compares with the best of its algorithms, and how many of them.
std::string choice_of(const Measurement& m) {
  if (m.algorithm_ms.empty()) return "";
  const double best = *std::min_element(m.algorithm_ms.begin(), m.algorithm_ms.end());
  return concat(fixed(m.algorithm_ms.front() / best, 2), " x best of ", m.algorithm_ms.size());
}

}  // namespace

void print_measurements(const std::vector<Measurement>& measurements, double copy_bytes_per_ms) {
  Table table;
  table.add({"", "part", "path", "type", "MB", "ms", "TFLOP/s", "GB/s",
             copy_bytes_per_ms > 0 ? "of copy" : "", "error", "bits", ""});
  for (const Measurement& m : measurements) {
    char error[32];
    std::snprintf(error, sizeof(error), "%.1e%s", m.error, m.error <= m.tolerance ? "" : " WRONG");
    const auto rate = [&](double amount, double unit) {
      return m.milliseconds ? fixed(amount / *m.milliseconds / unit, 2) : std::string("-");
    };
    const bool has_share = copy_bytes_per_ms > 0 && m.milliseconds;
    table.add({m.name, m.part, m.path, name_of(m.dtype), fixed(m.bytes / 1e6, 1),
               m.milliseconds ? fixed(*m.milliseconds, 4) : "-", rate(m.flops, 1e9),
               rate(m.bytes, 1e6),
               has_share ? percent(m.bytes / *m.milliseconds / copy_bytes_per_ms) : "", error,
               m.bits_repeat ? "repeat" : "VARY", choice_of(m)});
  }
  std::fputs(table.text().c_str(), stdout);
}

void print_step(const StepTimes& times) {
  std::printf(
      "%s, sequences of %ld, %ld a step in %ld shards, %d rank(s); peak %.1f GFLOP/s each\n",
      times.model.c_str(), static_cast<long>(times.seq_len), static_cast<long>(times.batch),
      static_cast<long>(times.shards), times.ranks, times.peak_flops / 1e9);
  if (!times.parts.empty()) print_parts(times);
  const double rate = times.sequences_per_second();
  std::printf(
      "whole step: %.1f ms, %.2f sequences/s, %.0f tokens/s, %.1f GFLOP/s, %s of the peak\n",
      times.milliseconds, rate, rate * static_cast<double>(times.seq_len),
      times.flops_per_second() / 1e9,
      percent(times.flops_per_second() / (times.peak_flops * times.ranks)).c_str());
  if (times.launched_ms) {
    std::printf(
        "launched kernel by kernel: %.1f ms, %.2f times as long; recorded: %ld operations\n",
        *times.launched_ms, *times.launched_ms / times.milliseconds,
        static_cast<long>(times.recorded_operations));
  }
}

void write_measurements(const std::filesystem::path& file, const std::string& device,
                        const std::vector<Measurement>& measurements) {
  Json rows = Json::array();
  for (const Measurement& m : measurements) rows.push_back(json_of(m));
  write(file, {{"device", device}, {"rows", rows}});
}

void write_step(const std::filesystem::path& file, const std::string& device,
                const StepTimes& times) {
  Json parts = Json::array();
  for (const BenchRow& row : times.parts) {
    parts.push_back({{"name", row.name},
                     {"calls", row.calls},
                     {"flops", row.flops},
                     {"forward_ms", row.forward_ms},
                     {"backward_ms", row.backward_ms}});
  }
  Json document{{"device", device},
                {"model", times.model},
                {"ranks", times.ranks},
                {"seq_len", times.seq_len},
                {"batch", times.batch},
                {"shards", times.shards},
                {"peak_flops", times.peak_flops},
                {"ms", times.milliseconds},
                {"sequences_per_second", times.sequences_per_second()},
                {"flops_per_second", times.flops_per_second()},
                {"activation_bytes", times.activation_bytes},
                {"scratch_bytes", times.scratch_bytes},
                {"finite", times.finite},
                {"parts", parts}};
  if (times.launched_ms) {
    document["launched_ms"] = *times.launched_ms;
    document["recorded_operations"] = times.recorded_operations;
  }
  write(file, document);
}

}  // namespace funnel
