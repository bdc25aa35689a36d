// SPDX-License-Identifier: Apache-2.0
#include "core/ops/sampling.h"

#include "core/backend/launch.h"
#include "core/ops/index_check.h"

namespace funnel {
namespace {

struct KeepTokenElement {
  const int32_t* input_ids;
  uint8_t original_label;
  int32_t* replaced_ids;
  uint8_t* labels;

  FUNNEL_HD void operator()(int64_t i) const {
    replaced_ids[i] = input_ids[i];
    labels[i] = original_label;
  }
};

struct ReplaceTokenElement {
  const int32_t* input_ids;
  const int32_t* rows;
  const int32_t* samples;
  const int32_t* targets;  // or null
  int64_t tokens;
  uint8_t original_label;
  int32_t* replaced_ids;
  uint8_t* labels;

  FUNNEL_HD void operator()(int64_t i) const {
    if (targets != nullptr && targets[i] == kNoTarget) return;
    const int32_t row = rows[i];
    if (row < 0 || row >= tokens) return;
    replaced_ids[row] = samples[i];
    labels[row] = samples[i] == input_ids[row] ? original_label : 1 - original_label;
  }
};

struct CountLabelElement {
  const uint8_t* labels;
  const uint8_t* padded;
  uint8_t value;
  uint8_t* counted;

  FUNNEL_HD void operator()(int64_t i) const {
    counted[i] = labels[i] == value && padded[i] == 0 ? 1 : 0;
  }
};

}  // namespace

void replace_tokens(Context& context, const ReplaceTokens& args) {
  check_shape("replace_tokens: samples", args.samples, args.rows.shape());
  if (args.targets) check_shape("replace_tokens: targets", args.targets, args.rows.shape());
  check_shape("replace_tokens: replaced_ids", args.replaced_ids, args.input_ids.shape());
  check_shape("replace_tokens: labels", args.labels, args.input_ids.shape());
  const int64_t tokens = args.input_ids.elements();
  check_indices("replace_tokens: position", args.rows, tokens, "a text");
  const int32_t* input_ids = args.input_ids.as<int32_t>();
  int32_t* replaced_ids = args.replaced_ids.as<int32_t>();
  uint8_t* labels = args.labels.as<uint8_t>();
  const uint8_t original_label = args.label_one_is_original ? 1 : 0;
  for_each(context, tokens, KeepTokenElement{input_ids, original_label, replaced_ids, labels});
  for_each(context, args.rows.elements(),
           ReplaceTokenElement{input_ids, args.rows.as<int32_t>(), args.samples.as<int32_t>(),
                               args.targets.as<int32_t>(), tokens, original_label, replaced_ids,
                               labels});
}

void count_labels(Context& context, ConstTensor labels, ConstTensor padded, uint8_t value,
                  Tensor counted) {
  check_shape("count_labels: padded", padded, labels.shape());
  check_shape("count_labels: counted", counted, labels.shape());
  for_each(
      context, labels.elements(),
      CountLabelElement{labels.as<uint8_t>(), padded.as<uint8_t>(), value, counted.as<uint8_t>()});
}

}  // namespace funnel
