// SPDX-License-Identifier: Apache-2.0
#include "data/packing_mode.h"

#include "core/base/error.h"

namespace funnel {
namespace {

struct ModeName {
  PackingMode mode;
  const char* name;
};

constexpr ModeName kNames[] = {{PackingMode::segment_pairs, "segment_pairs"},
                               {PackingMode::sentences, "sentences"},
                               {PackingMode::electra, "electra"},
                               {PackingMode::imported, "imported"}};

}  // namespace

std::string_view name_of(PackingMode mode) {
  for (const ModeName& entry : kNames) {
    if (entry.mode == mode) return entry.name;
  }
  return "unknown";
}

PackingMode packing_mode_of(std::string_view name, const std::string& source) {
  for (const ModeName& entry : kNames) {
    if (entry.name == name) return entry.mode;
  }
  throw_usage(
      source,
      ": expected a packing mode, 'segment_pairs', 'sentences', 'electra' or 'imported', found '",
      name, "'");
}

ExampleLayout layout_of(std::span<const int32_t> ids, int64_t segment_a, int32_t pad) {
  auto length = static_cast<int64_t>(ids.size());
  while (length > 0 && ids[static_cast<size_t>(length - 1)] == pad) --length;
  return {segment_a, length};
}

}  // namespace funnel
