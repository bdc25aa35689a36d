// SPDX-License-Identifier: Apache-2.0
// Field by field between the schema's message and the plain structs. Read by launch/config.cc
// alone.
#pragma once

#include "configs/schema.pb.h"
#include "launch/config.h"

namespace funnel::config_fields {

// The structs of a message, with defaults, given or derived, for what it leaves out. Throws an
// input error where a required field is missing or a layout cannot be read; ranges are
// validate()'s.
RunConfig from_message(const config::Run& message);

// A message with every field set (vocab_size only where it is known).
config::Run to_message(const RunConfig& config);

}  // namespace funnel::config_fields
