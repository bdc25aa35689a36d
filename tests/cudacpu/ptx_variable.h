// SPDX-License-Identifier: Apache-2.0
// Declarations of PTX: types, and variables of any space.
#pragma once

#include <string>
#include <string_view>

#include "tests/cudacpu/ptx_parse.h"
#include "tests/cudacpu/ptx_text.h"

namespace funnel::cudacpu {

// Of ".f32" 32, of ".pred" 1. Throws Fault of kind unsupported.
int bits_of_type(std::string_view type);

// ".align 16 .b8 name[64] = {…}" after the word for the space; stops before ',' ')' or ';'.
PtxVariable read_variable(PtxText& text, std::string space);

}  // namespace funnel::cudacpu
