// SPDX-License-Identifier: Apache-2.0
// The conformance program: runs the primitives of the engine's kernels on the CUDA device that this
// program was linked for, holds them to independent expectations, and records them or compares
// them with recordings. The exit code is 0 only if everything agrees.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "core/backend/device.h"
#include "core/base/error.h"
#include "tests/conformance/mma_models.h"
#include "tests/conformance/recording.h"

namespace funnel::conformance {
namespace {

struct Options {
  std::string record, recorded, mma;
};

bool is_host_runtime(const std::string& device) {
  return device.find("host runtime") != std::string::npos;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return names.empty() ? "no known model" : text;
}

const Section& mma_sums(const std::vector<Section>& sections) {
  return *std::find_if(sections.begin(), sections.end(),
                       [](const Section& section) { return section.name == "mma sums"; });
}

// Prints a line; true if nothing is wrong.
bool report(const Section& section, const Expectation& expected, const Verdict& verdict) {
  std::printf("%-26s %4zu values, %s: ", section.name.c_str(), section.bits.size(),
              expected.allowed.c_str());
  if (verdict.wrong > 0) {
    std::printf("%ld WRONG; %s\n", static_cast<long>(verdict.wrong), verdict.first.c_str());
  } else if (expected.bits.empty()) {
    std::printf("right, the largest error is %.2f of the allowed\n", verdict.largest);
  } else {
    std::printf("right\n");
  }
  return verdict.wrong == 0;
}

bool check_expectations(const std::vector<Section>& sections) {
  std::map<std::string, Expectation> expected = expectations();
  bool right = sections.size() == expected.size();
  if (!right) std::printf("WRONG: sections and expectations differ in number\n");
  for (const Section& section : sections) {
    const Expectation& one = expected.at(section.name);
    right &= report(section, one, judge(section, one));
  }
  return right;
}

bool check_recording(const std::vector<Section>& sections, const std::filesystem::path& file) {
  const Recording recording = read_recording(file, sections);
  FUNNEL_CHECK_INPUT(!is_host_runtime(recording.device), file.string(),
                     ": expected the recording of a device, found one of ", recording.device);
  std::printf("recorded on %s (%s), mma adds there: %s\n", recording.device.c_str(),
              file.filename().c_str(), joined(models_of(mma_sums(recording.sections))).c_str());
  const std::map<std::string, Expectation> expected = expectations();
  bool right = true;
  for (size_t i = 0; i < sections.size(); ++i) {
    const Expectation& one = expected.at(sections[i].name);
    const Verdict verdict = compare(sections[i], recording.sections[i], one);
    if (verdict.wrong > 0) right = report(sections[i], one, verdict);
  }
  if (right) std::printf("this device agrees with the recording\n");
  return right;
}

bool check_recordings(const std::vector<Section>& sections, const std::filesystem::path& folder) {
  FUNNEL_CHECK_INPUT(std::filesystem::is_directory(folder), folder.string(), ": is no folder");
  bool right = true, any = false;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".txt") continue;
    any = true;
    right &= check_recording(sections, entry.path());
  }
  if (!any) std::printf("no device recording yet in %s\n", folder.c_str());
  return right;
}

int run(const Options& options) {
  select_cuda_device(0);
  const std::string device = describe_cuda_device();
  std::printf("%s\n", device.c_str());
  const std::vector<Section> sections = run_primitives();
  bool right = check_expectations(sections);
  const std::vector<std::string> models = models_of(mma_sums(sections));
  std::printf("mma adds: %s\n", joined(models).c_str());
  if (!options.mma.empty()) {
    const bool named = std::any_of(models.begin(), models.end(), [&](const std::string& name) {
      return name.starts_with(options.mma);
    });
    if (!named) std::printf("WRONG: mma was expected to add %s\n", options.mma.c_str());
    right &= named;
  }
  if (!options.recorded.empty()) right &= check_recordings(sections, options.recorded);
  if (!options.record.empty()) write_recording(options.record, {device, sections});
  return right ? 0 : 1;
}

}  // namespace
}  // namespace funnel::conformance

int main(int argc, char** argv) {
  CLI::App app("Runs the primitives of the engine's kernels on a CUDA device and checks them.");
  funnel::conformance::Options options;
  app.add_option("--record", options.record, "write what the primitives gave to this file");
  app.add_option("--recorded", options.recorded,
                 "compare with every recording (*.txt) of this folder");
  app.add_option("--mma", options.mma, "how mma is expected to add: rounded, ordered, truncated");
  CLI11_PARSE(app, argc, argv);
  try {
    return funnel::conformance::run(options);
  } catch (const funnel::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit_code());
  }
}
