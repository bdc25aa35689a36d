// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace funnel {
namespace {

std::shared_ptr<spdlog::logger> make_logger(const std::string& pattern,
                                            const std::filesystem::path& file) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  if (!file.empty()) {
    sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()));
  }
  auto logger = std::make_shared<spdlog::logger>("funnel", sinks.begin(), sinks.end());
  logger->set_pattern(pattern);
  logger->flush_on(spdlog::level::info);
  return logger;
}

struct Log {
  int rank = 0;
  std::shared_ptr<spdlog::logger> logger = make_logger("%v", {});
};

Log& the_log() {
  static Log log;
  return log;
}

}  // namespace

void open_log(int rank, const std::filesystem::path& file) {
  const std::string who = rank == 0 ? "" : concat("[rank ", rank, "] ");
  the_log().rank = rank;
  try {
    the_log().logger = make_logger("%Y-%m-%d %H:%M:%S %L " + who + "%v", file);
  } catch (const spdlog::spdlog_ex& error) {
    throw_usage("cannot open the log file ", file.string(), ": ", error.what());
  }
}

void log_info(const std::string& message) {
  if (the_log().rank == 0) the_log().logger->info(message);
}

void log_warning(const std::string& message) {
  the_log().logger->warn(message);
}

void log_error(const std::string& message) {
  the_log().logger->error(message);
}

}  // namespace funnel
