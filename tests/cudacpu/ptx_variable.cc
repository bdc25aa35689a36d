// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/ptx_variable.h"

#include <algorithm>

#include "tests/cudacpu/fault.h"

namespace funnel::cudacpu {
namespace {

void read_initial_values(PtxText& text, int element_bytes, PtxVariable& variable) {
  const bool list = text.accept("{");
  do {
    const bool negative = text.accept("-");
    const PtxToken value = text.next();
    if (value.kind != PtxToken::Kind::number) {
      throw Fault(FaultKind::unsupported,
                  "PTX: variable " + variable.name + " is initialised with an address");
    }
    const uint64_t bits = negative ? -value.bits : value.bits;
    for (int i = 0; i < element_bytes; ++i) {
      variable.initial.push_back(static_cast<char>(bits >> (8 * i)));
    }
  } while (list && text.accept(","));
  if (list) text.expect("}");
}

}  // namespace

int bits_of_type(std::string_view type) {
  if (type == ".pred") return 1;
  size_t digit = type.find_first_of("0123456789");
  if (digit == std::string_view::npos) {
    throw Fault(FaultKind::unsupported, "PTX: unknown type " + std::string(type));
  }
  int bits = 0;
  for (; digit < type.size() && type[digit] >= '0' && type[digit] <= '9'; ++digit) {
    bits = bits * 10 + (type[digit] - '0');
  }
  return bits;
}

PtxVariable read_variable(PtxText& text, std::string space) {
  PtxVariable variable;
  variable.space = std::move(space);
  std::string_view type;
  bool aligned = false;
  for (std::string_view word = text.word();; word = text.word()) {
    if (word == ".align") {
      variable.align = text.integer();
      aligned = true;
    } else if (word == ".ptr" || word == ".global" || word == ".shared" || word == ".const") {
      continue;  // an attribute of a pointer parameter
    } else if (word[0] == '.') {
      type = word;
    } else {
      variable.name = word;
      break;
    }
  }
  const int element = std::max(1, bits_of_type(type) / 8);
  if (!aligned) variable.align = element;
  variable.bytes = element;
  while (text.accept("[")) {
    variable.bytes = text.peek().is("]") ? 0 : variable.bytes * text.integer();
    text.expect("]");
  }
  if (text.accept("=")) read_initial_values(text, element, variable);
  return variable;
}

}  // namespace funnel::cudacpu
