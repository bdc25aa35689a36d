// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/recording.h"

#include <fstream>
#include <sstream>

#include "core/base/error.h"

namespace funnel::conformance {

void write_recording(const std::filesystem::path& file, const Recording& recording) {
  std::ofstream out(file);
  out << "device " << recording.device << '\n' << std::hex;
  for (const Section& section : recording.sections) {
    out << "section " << section.name;
    for (size_t i = 0; i < section.bits.size(); ++i) {
      out << (i % 8 == 0 ? '\n' : ' ') << section.bits[i];
    }
    out << '\n';
  }
  out.close();
  FUNNEL_CHECK_INPUT(out.good(), file.string(), ": cannot be written");
}

// The formats are those of `like`, whose sections must all be there, in its order.
Recording read_recording(const std::filesystem::path& file, const std::vector<Section>& like) {
  std::ifstream in(file);
  FUNNEL_CHECK_INPUT(in.good(), file.string(), ": cannot be read");
  Recording recording;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string name = line.substr(line.find(' ') + 1);
    if (line.starts_with("device ")) {
      recording.device = name;
      continue;
    }
    if (line.starts_with("section ")) {
      const size_t at = recording.sections.size();
      FUNNEL_CHECK_INPUT(at < like.size() && like[at].name == name, file.string(), ":", number,
                         ": expected section ", at < like.size() ? like[at].name : "none",
                         ", found ", name, "; record the device again");
      recording.sections.push_back({name, like[at].format, {}});
      continue;
    }
    std::istringstream words(line);
    uint64_t word = 0;
    while (!recording.sections.empty() && words >> std::hex >> word) {
      recording.sections.back().bits.push_back(word);
    }
    FUNNEL_CHECK_INPUT(words.eof(), file.string(), ":", number,
                       ": expected hexadecimal numbers, found ", line);
  }
  FUNNEL_CHECK_INPUT(recording.sections.size() == like.size(), file.string(), ": expected ",
                     like.size(), " sections, found ", recording.sections.size());
  return recording;
}

Verdict compare(const Section& here, const Section& recorded, const Expectation& expected) {
  Expectation wanted = expected;
  if (!expected.bits.empty()) {
    wanted.bits = recorded.bits;
  } else {
    wanted.values.clear();
    for (const uint64_t bits : recorded.bits) {
      wanted.values.push_back(value_of(recorded.format, bits));
    }
    for (double& error : wanted.errors) error *= 2;
  }
  return judge(here, wanted);
}

}  // namespace funnel::conformance
