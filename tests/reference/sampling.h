// SPDX-License-Identifier: Apache-2.0
// Reference of ELECTRA's token sampling from given uniform numbers.
#pragma once

#include <cmath>

#include "tests/reference/matrix.h"

namespace funnel::ref {

// For each row of logits [rows, vocab]: argmax of logits - log(-log(u + 1e-9) + 1e-9) with
// uniforms u [rows, vocab] in [0, 1); the first of equals.
inline Integers sample_tokens(const Vector& logits, const Vector& uniforms, int64_t rows,
                              int64_t vocab) {
  Integers samples;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t best = 0;
    double best_value = -INFINITY;
    for (int64_t v = 0; v < vocab; ++v) {
      const double u = uniforms.at(r * vocab + v);
      const double value = logits.at(r * vocab + v) - std::log(-std::log(u + 1e-9) + 1e-9);
      if (value > best_value) {
        best = v;
        best_value = value;
      }
    }
    samples.push_back(best);
  }
  return samples;
}

struct ReplacedTokens {
  Integers ids;     // [batch * seq]
  Integers labels;  // [batch * seq]
};

// Puts samples at `rows` of the original ids; label = (replaced == original) or its negation.
inline ReplacedTokens replace_tokens(const Integers& original, const Integers& rows,
                                     const Integers& samples, bool label_one_is_original) {
  ReplacedTokens out{.ids = original, .labels = {}};
  for (size_t i = 0; i < rows.size(); ++i) out.ids.at(rows[i]) = samples.at(i);
  for (size_t i = 0; i < original.size(); ++i) {
    out.labels.push_back((out.ids[i] == original[i]) == label_one_is_original ? 1 : 0);
  }
  return out;
}

}  // namespace funnel::ref
