// SPDX-License-Identifier: Apache-2.0
#include "launch/checkpoint_manifest.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "data/digest.h"
#include "data/durable_file.h"
#include "data/text_fields.h"

namespace funnel {
namespace {

std::string digest_line(std::string_view body) {
  return concat("manifest_sha256: \"", sha256(body), "\"\n");
}

Shape shape_of(const std::vector<int64_t>& extents, int64_t largest, const std::string& where) {
  int64_t elements = 1;
  for (const int64_t extent : extents) {
    if (extent > 0 && elements > largest / extent) {
      throw_damaged(where, ": expected at most ", largest, " elements, found more");
    }
    elements *= extent;
  }
  switch (extents.size()) {
    case 0:
      return {};
    case 1:
      return {extents[0]};
    case 2:
      return {extents[0], extents[1]};
    case 3:
      return {extents[0], extents[1], extents[2]};
    case 4:
      return {extents[0], extents[1], extents[2], extents[3]};
    default:
      throw_damaged(where, ": expected at most 4 extents, found ", extents.size());
  }
}

ParamEntry parse_param(const TextFields& fields, int64_t elements) {
  fields.allow_only({"name", "extent", "offset"});
  ParamEntry param;
  param.name = fields.text("name");
  const std::string where = concat(fields.source(), ": parameter ", param.name);
  param.shape = shape_of(fields.integers("extent"), elements, where);
  param.offset = fields.integer("offset");
  if (param.offset > elements - param.shape.elements()) {
    throw_damaged(where, ": leaves the state of ", elements, " elements");
  }
  return param;
}

SliceEntry parse_slice(const TextFields& fields) {
  fields.allow_only({"name", "first", "elements", "bytes", "sha256"});
  return {.name = fields.text("name"),
          .first = fields.integer("first"),
          .elements = fields.integer("elements"),
          .bytes = fields.integer("bytes"),
          .sha256 = fields.text("sha256")};
}

void check_slices(const CheckpointManifest& manifest, const std::string& path) {
  int64_t covered = 0;
  for (size_t i = 0; i < manifest.slices.size(); ++i) {
    const SliceEntry& slice = manifest.slices[i];
    if (slice.name != slice_name(i)) {
      throw_damaged(path, ": file ", i, ": expected ", slice_name(i), ", found ", slice.name);
    }
    if (slice.first != covered || slice.elements > manifest.elements - covered) {
      throw_damaged(path, ": ", slice.name, ": expected elements from ", covered, " within ",
                    manifest.elements, ", found ", slice.elements, " from ", slice.first);
    }
    covered += slice.elements;
  }
  if (covered != manifest.elements) {
    throw_damaged(path, ": expected files for ", manifest.elements, " elements, found ", covered);
  }
}

CheckpointManifest parse_body(std::string_view body, const std::string& path) {
  const TextFields fields = TextFields::parse(body, path);
  const int64_t version = fields.integer("format_version");
  FUNNEL_CHECK_INPUT(version == kCheckpointFormatVersion, path,
                     ": format_version: this program reads version ", kCheckpointFormatVersion,
                     ", found ", version);
  fields.allow_only({"format_version", "run_id", "step", "samples", "seed", "config",
                     "vocabulary_sha256", "elements", "tensor", "parameter", "file"});
  CheckpointManifest manifest{.run_id = fields.text("run_id"),
                              .step = fields.integer("step"),
                              .samples = fields.integer("samples"),
                              .seed = fields.natural("seed"),
                              .config_text = fields.text("config"),
                              .vocabulary_digest = fields.text("vocabulary_sha256"),
                              .elements = fields.integer("elements"),
                              .tensors = fields.texts("tensor"),
                              .layout = {},
                              .slices = {}};
  for (const TextFields& param : fields.messages("parameter")) {
    manifest.layout.push_back(parse_param(param, manifest.elements));
  }
  for (const TextFields& slice : fields.messages("file")) {
    manifest.slices.push_back(parse_slice(slice));
  }
  check_slices(manifest, path);
  return manifest;
}

}  // namespace

std::string slice_name(size_t index) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "slice-%05zu.h5", index);
  return name.data();
}

std::string manifest_text(const CheckpointManifest& manifest) {
  TextFieldWriter out;
  out.integer("format_version", kCheckpointFormatVersion);
  out.text("run_id", manifest.run_id);
  out.integer("step", manifest.step);
  out.integer("samples", manifest.samples);
  out.natural("seed", manifest.seed);
  out.text("config", manifest.config_text);
  out.text("vocabulary_sha256", manifest.vocabulary_digest);
  out.integer("elements", manifest.elements);
  for (const std::string& tensor : manifest.tensors) out.text("tensor", tensor);
  for (const ParamEntry& param : manifest.layout) {
    out.open("parameter");
    out.text("name", param.name);
    for (int axis = 0; axis < param.shape.rank(); ++axis) out.integer("extent", param.shape[axis]);
    out.integer("offset", param.offset);
    out.close();
  }
  for (const SliceEntry& slice : manifest.slices) {
    out.open("file");
    out.text("name", slice.name);
    out.integer("first", slice.first);
    out.integer("elements", slice.elements);
    out.integer("bytes", slice.bytes);
    out.text("sha256", slice.sha256);
    out.close();
  }
  return out.str() + digest_line(out.str());
}

CheckpointManifest parse_manifest(std::string_view text, const std::string& path) {
  // The digest's line has one length, so its place needs no search in text that may be damaged.
  const size_t length = digest_line({}).size();
  if (text.size() < length) {
    throw_damaged(path, ": expected a line with its SHA-256 at the end, found ", text.size(),
                  " bytes");
  }
  const std::string_view body = text.substr(0, text.size() - length);
  const std::string expected = digest_line(body);
  const std::string_view found = text.substr(body.size());
  if (found != expected) {
    throw_damaged(path, ": expected as last line ", expected.substr(0, length - 1), ", found ",
                  found.substr(0, length - 1));
  }
  return parse_body(body, path);
}

CheckpointManifest read_manifest(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint / kManifestName;
  std::string text;
  try {
    text = read_text_file(path);
  } catch (const Error& error) {
    throw_damaged(error.what());
  }
  return parse_manifest(text, path.string());
}

}  // namespace funnel
