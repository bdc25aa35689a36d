// SPDX-License-Identifier: Apache-2.0
#include "launch/metrics.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "data/durable_file.h"

namespace funnel {
namespace {

using Json = nlohmann::ordered_json;

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

void add_losses(Json& line, const PretrainMetrics& metrics) {
  line["loss"] = metrics.loss;
  line["mlm_loss"] = metrics.mlm_loss;
  line["mlm_accuracy"] = mlm_accuracy(metrics);
  if (metrics.tokens > 0) {
    line["discriminator_loss"] = metrics.discriminator_loss;
    line["discriminator_accuracy"] = discriminator_accuracy(metrics);
    line["majority_accuracy"] = majority_accuracy(metrics);
  }
}

// Keeps whole lines of steps up to resumed_step; the last line of a killed life may be torn.
std::string lines_up_to(const std::string& text, int64_t resumed_step) {
  std::istringstream in(text);
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const Json parsed = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object() || !parsed.contains("step")) continue;
    const Json& step = parsed["step"];
    if (step.is_number_integer() && step <= resumed_step) kept += line + '\n';
  }
  return kept;
}

std::string losses_text(const PretrainMetrics& metrics) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(3) << "loss " << metrics.loss << "  mlm "
      << metrics.mlm_loss << " (" << std::setprecision(1) << 100 * mlm_accuracy(metrics) << "%)";
  if (metrics.tokens > 0) {
    out << std::setprecision(4) << "  disc " << metrics.discriminator_loss << " ("
        << std::setprecision(1) << 100 * discriminator_accuracy(metrics) << "%, majority "
        << 100 * majority_accuracy(metrics) << "%)";
  }
  return std::move(out).str();
}

std::string time_text(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(seconds));
  std::ostringstream out;
  out << std::setfill('0');
  if (total >= 3600) {
    out << total / 3600 << ':' << std::setw(2) << total / 60 % 60;
  } else {
    out << total / 60;
  }
  out << ':' << std::setw(2) << total % 60;
  return std::move(out).str();
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t resumed_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    const std::string text = read_text_file(path);
    const std::string kept = lines_up_to(text, resumed_step);
    if (kept != text) write_durably(path, std::span<const char>(kept.data(), kept.size()));
  }
  file_.open(path, std::ios::app);
  FUNNEL_CHECK_INPUT(file_.is_open(), "cannot open ", path.string(), " for writing");
}

void MetricsFile::write_line(const std::string& line) {
  file_ << line << std::endl;
  // A full disk must not end a run: what is lost is a line of metrics.
  file_.clear();
}

void MetricsFile::train(int64_t steps_done, const StepReport& report, const Speed& speed,
                        double seconds) {
  Json line{{"kind", "train"}, {"step", steps_done}};
  add_losses(line, report.metrics);
  line["gradient_norm"] = report.gradient_norm;
  line["learning_rate"] = report.learning_rate;
  line["skipped"] = report.skipped;
  line["tokens_per_second"] = speed.tokens_per_second;
  line["flops_per_second"] = speed.flops_per_second;
  if (speed.share_of_peak > 0) line["share_of_peak"] = speed.share_of_peak;
  line["data_wait_share"] = speed.data_wait_share;
  line["seconds"] = seconds;
  write_line(line.dump());
}

void MetricsFile::eval(int64_t steps_done, const PretrainMetrics& metrics, double seconds) {
  Json line{{"kind", "eval"}, {"step", steps_done}};
  add_losses(line, metrics);
  line["seconds"] = seconds;
  write_line(line.dump());
}

std::string describe_step(int64_t steps_done, int64_t steps, const StepReport& report,
                          const Speed& speed) {
  std::ostringstream out;
  out << "step " << steps_done << '/' << steps << "  " << losses_text(report.metrics)
      << std::setprecision(3) << "  lr " << report.learning_rate << "  norm "
      << report.gradient_norm << "  " << std::fixed << std::setprecision(0)
      << speed.tokens_per_second << " tok/s  " << std::setprecision(1)
      << speed.flops_per_second / 1e9 << " GFLOP/s" << std::setprecision(0);
  if (speed.share_of_peak > 0) out << " (" << 100 * speed.share_of_peak << "% of peak)";
  out << "  " << time_text(speed.step_seconds * static_cast<double>(steps - steps_done)) << " left";
  if (report.skipped) out << "  SKIPPED: not finite";
  return std::move(out).str();
}

std::string describe_eval(int64_t steps_done, const PretrainMetrics& metrics) {
  return concat("held-out at step ", steps_done, "  ", losses_text(metrics));
}

double mlm_accuracy(const PretrainMetrics& metrics) {
  return share(metrics.mlm_correct, metrics.predictions);
}

double discriminator_accuracy(const PretrainMetrics& metrics) {
  return share(metrics.discriminator_correct, metrics.tokens);
}

double majority_accuracy(const PretrainMetrics& metrics) {
  const double original = share(metrics.original_tokens, metrics.tokens);
  return std::max(original, 1 - original);
}

ProgressLine::ProgressLine() : on_terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  finish();
}

void ProgressLine::show(const std::string& text) {
  if (!on_terminal_) return;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  const size_t columns = known ? size.ws_col - 1 : 79;
  std::fprintf(stderr, "\r\033[K%s", text.substr(0, columns).c_str());
  std::fflush(stderr);
  is_shown_ = true;
}

void ProgressLine::finish() {
  if (is_shown_) std::fputc('\n', stderr);
  is_shown_ = false;
}

}  // namespace funnel
