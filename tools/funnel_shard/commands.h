// SPDX-License-Identifier: Apache-2.0
// The subcommands of funnel-shard: each adds itself to the command line, and runs when chosen.
// Errors are thrown; results go to standard output.
#pragma once

namespace CLI {
class App;
}

namespace funnel::shard_tool {

void add_vocab(CLI::App& app);   // text -> vocabulary
void add_build(CLI::App& app);   // text and vocabulary -> shards
void add_encode(CLI::App& app);  // lines of text -> lines of ids
void add_verify(CLI::App& app);  // shards: is every byte and id as it should be?
void add_info(CLI::App& app);    // shards: what is in them?

}  // namespace funnel::shard_tool
