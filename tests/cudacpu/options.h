// SPDX-License-Identifier: Apache-2.0
// How the host runtime behaves, from the environment variable FUNNEL_CUDACPU, a list like
//     FUNNEL_CUDACPU="streams=lazy,devices=2,memory=64M"
// read once, at first use. An unknown name, or a value that does not fit, ends the process with a
// message: a misspelt option must not pass a test. options.cc lists all names and their defaults.
#pragma once

#include <cstdint>
#include <string>

namespace funnel::cudacpu {

// The value of an option: from the environment or the default. `name` must be in the list.
const std::string& option(const std::string& name);
// The same as a number; K, M and G after it mean 2^10, 2^20 and 2^30.
int64_t option_number(const std::string& name);

// Whether `blocks` is a number: sizes too large to compute are rehearsed for their statistics. Of
// each launch only some blocks run, spread evenly, products are left out, new memory holds zeros
// and nothing is checked; results mean nothing.
bool is_rehearsal();

// Replaces an option's value in this process, for tests; whoever has read it before keeps the old.
void set_option(const std::string& name, const std::string& value);

}  // namespace funnel::cudacpu
