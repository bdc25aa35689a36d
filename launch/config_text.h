// SPDX-License-Identifier: Apache-2.0
// Text to configuration message: parsing with the place of every error, merging, overriding.
// Works by reflection and knows no field by name. Read by launch/config.cc alone.
#pragma once

#include <google/protobuf/message.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace funnel::config_text {

// Parses `text` over `message`: fields given there replace the message's, repeated ones as a whole.
// `name` stands for the file in messages.
void merge_text(const std::string& text, const std::string& name,
                google::protobuf::Message& message);

void merge_file(const std::filesystem::path& file, google::protobuf::Message& message);

// Applies one "path.to.field=value" to the message. Elements of repeated fields are separated by
// commas and replace the field; no value at all clears it. Names of enum values may be lower case.
void apply_override(const std::string& assignment, google::protobuf::Message& message);

// Every field of the schema in order, as (path, value in text); a field without a value is "unset".
std::vector<std::pair<std::string, std::string>> list_fields(
    const google::protobuf::Message& message);

}  // namespace funnel::config_text
