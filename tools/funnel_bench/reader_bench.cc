// SPDX-License-Identifier: Apache-2.0
// funnel-reader-bench: how fast one core turns a data set's shards into batches, how long a jump to
// any step takes, and how much memory stays in use over an epoch.
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "data/loader.h"

namespace {

using namespace funnel;

struct Options {
  std::vector<std::string> folders;
  int64_t batch = 32;
  double predicted = 0.15;
  int64_t seeks = 101;
  int64_t parts = 20;
  bool whole_words = false;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double resident_mb() {
  int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

LoaderConfig config_of(const Mixture& data, const Options& options) {
  return {
      .seed = 1,
      .global_batch = options.batch,
      .predictions = static_cast<int64_t>(static_cast<double>(data.seq_len()) * options.predicted),
      .strategy =
          options.whole_words ? MaskingStrategy::whole_word : MaskingStrategy::single_token};
}

// One thread, every batch of an epoch, in parts: processor time and resident memory of each.
void bench_epoch(const Mixture& data, const Options& options) {
  const Loader loader(data, config_of(data, options));
  Batch batch;
  const int64_t steps = data.examples() / options.batch / options.parts;
  FUNNEL_CHECK_INPUT(steps > 0, "expected at least ", options.parts * options.batch,
                     " examples, found ", data.examples());
  const auto tokens = static_cast<double>(steps * options.batch * data.seq_len());
  std::vector<double> rates;
  std::string resident;
  for (int64_t part = 0; part < options.parts; ++part) {
    const double begin = cpu_seconds();
    for (int64_t i = 0; i < steps; ++i) loader.load(part * steps + i, 0, options.batch, batch);
    rates.push_back(tokens / (cpu_seconds() - begin) / 1e6);
    char text[32];
    std::snprintf(text, sizeof(text), " %.1f", resident_mb());
    resident += text;
  }
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  std::printf(
      "reader: %.1f million tokens/s of processor time on one thread, median of %ld parts of an "
      "epoch (%.1f to %.1f)\nresident MB after each part:%s\n",
      median(rates), static_cast<long>(options.parts), *least, *most, resident.c_str());
}

struct Jump {
  double elapsed_ms;
  double cpu_ms;
};

// How long `load` takes to have the first batch of a random step of a thousand epochs.
template <class Load>
Jump time_jumps(const Mixture& data, const Options& options, const Load& load) {
  std::mt19937_64 random(1);
  const int64_t steps = 1000 * (data.examples() / options.batch);
  std::vector<double> elapsed, processor;
  for (int64_t i = 0; i < options.seeks; ++i) {
    const auto step = static_cast<int64_t>(random() % static_cast<uint64_t>(steps));
    const auto begin = std::chrono::steady_clock::now();
    const double used = cpu_seconds();
    load(step);
    processor.push_back(1e3 * (cpu_seconds() - used));
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    elapsed.push_back(1e3 * spent.count());
  }
  return {median(elapsed), median(processor)};
}

void bench_seeks(const Mixture& data, const Options& options) {
  const Loader kept(data, config_of(data, options));
  Batch batch;
  const Jump jump =
      time_jumps(data, options, [&](int64_t step) { kept.load(step, 0, options.batch, batch); });
  const Jump start = time_jumps(data, options, [&](int64_t step) {
    const Loader fresh(data, config_of(data, options));
    Batch first;
    fresh.load(step, 0, options.batch, first);
  });
  std::printf(
      "jump to a random step, median of %ld: %.2f ms (%.2f of processor time); with a new loader "
      "%.2f ms (%.2f)\n",
      static_cast<long>(options.seeks), jump.elapsed_ms, jump.cpu_ms, start.elapsed_ms,
      start.cpu_ms);
}

void bench(const Options& options) {
  std::vector<DataSource> sources;
  for (const std::string& folder : options.folders) sources.push_back(parse_data_source(folder));
  const Mixture data = Mixture::open(sources);
  std::printf("%ld examples of %ld tokens, batches of %ld\n", static_cast<long>(data.examples()),
              static_cast<long>(data.seq_len()), static_cast<long>(options.batch));
  bench_epoch(data, options);
  bench_seeks(data, options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times how one core reads a data set into batches.");
  Options options;
  app.add_option("--data", options.folders, "data folder, or DIR:WEIGHT; repeatable")->required();
  app.add_option("--batch", options.batch, "sequences in a batch")->capture_default_str();
  app.add_option("--predicted", options.predicted, "share of tokens to predict")
      ->capture_default_str();
  app.add_flag("--whole-words", options.whole_words, "mask whole words, not single tokens");
  app.add_option("--seeks", options.seeks, "jumps to time")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--parts", options.parts, "parts of the epoch to time")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  try {
    bench(options);
    return 0;
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.exit_code());
  }
}
