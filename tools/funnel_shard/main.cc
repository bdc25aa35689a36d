// SPDX-License-Identifier: Apache-2.0
// funnel-shard: from text to the shards that funnel-pretrain reads.
#include <CLI/CLI.hpp>
#include <iostream>

#include "core/base/error.h"
#include "tools/funnel_shard/commands.h"

int main(int argc, char** argv) {
  using namespace funnel;
  CLI::App app(
      "Makes the data that funnel-pretrain trains on: text -> vocabulary -> HDF5 shards.\n"
      "Text is plain UTF-8: a sentence or paragraph a line, an empty line between documents.");
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  shard_tool::add_vocab(app);
  shard_tool::add_build(app);
  shard_tool::add_encode(app);
  shard_tool::add_verify(app);
  shard_tool::add_info(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(app.exit(error) == 0 ? ExitCode::kDone : ExitCode::kUsage);
  } catch (const Error& error) {
    // Of many ranks with the same error, one tells.
    if (*error.what() != '\0') std::cerr << concat("funnel-shard: ", error.what(), "\n");
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    std::cerr << "funnel-shard: " << error.what() << '\n';
    return static_cast<int>(ExitCode::kFailure);
  }
  return static_cast<int>(ExitCode::kDone);
}
