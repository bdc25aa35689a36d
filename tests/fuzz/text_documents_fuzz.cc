// SPDX-License-Identifier: Apache-2.0
// Any bytes as a text file, compressed or not, as plain text and as JSON lines: documents without
// empty lines, or an input error.
#include <cstdlib>

#include "core/base/error.h"
#include "data/text_documents.h"
#include "tests/data/compressed_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

using namespace funnel;

// A few bytes can unpack to very many.
constexpr int64_t kEnough = int64_t{1} << 20;

void read(TextFormat format, const std::string& bytes, const TextOptions& options) {
  try {
    DocumentReader reader({.path = "fuzz", .format = format}, bytes, options);
    TextDocument document;
    while (reader.bytes() < kEnough && reader.next(document)) {
      if (document.lines() == 0) std::abort();
      for (int64_t i = 0; i < document.lines(); ++i) {
        const std::string_view line = document.line(i);
        if (line.empty() || line.find('\n') != std::string_view::npos) std::abort();
      }
    }
    if (!options.skip_bad && reader.bad_lines() != 0) std::abort();
  } catch (const Error& error) {
    if (error.exit_code() != ExitCode::kUsage) std::abort();
  }
}

}  // namespace

std::vector<std::string> funnel::testing::fuzz_seeds() {
  const std::string plain = "One line.\nAnother.\n\nA second document, caf\xc3\xa9.\n";
  const std::string lines = "{\"text\": \"one\\ntwo\"}\n{\"text\": \"three\"}\n";
  return {plain, lines, gzip(plain), gzip(lines), zstd(plain), zstd(lines)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read(TextFormat::plain, bytes, {.longest_document = 64});
  read(TextFormat::json_lines, bytes, {});
  read(TextFormat::json_lines, bytes, {.skip_bad = true});
  return 0;
}
