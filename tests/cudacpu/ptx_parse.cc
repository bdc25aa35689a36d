// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/ptx_parse.h"

#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/ptx_text.h"
#include "tests/cudacpu/ptx_variable.h"

namespace funnel::cudacpu {
namespace {

std::vector<PtxVariable> read_parameters(PtxText& text) {
  std::vector<PtxVariable> parameters;
  int64_t end = 0;
  if (!text.accept("(")) return parameters;
  while (!text.accept(")")) {
    text.accept(",");
    text.expect(".param");
    PtxVariable one = read_variable(text, ".param");
    one.offset = (end + one.align - 1) / one.align * one.align;
    end = one.offset + one.bytes;
    parameters.push_back(std::move(one));
  }
  return parameters;
}

void read_entry(PtxText& text, PtxModule& module) {
  PtxEntry entry;
  entry.name = text.word();
  entry.parameters = read_parameters(text);
  while (!text.peek().is("{")) {
    const PtxToken directive = text.next();
    if (directive.is(".maxntid")) {
      entry.max_threads = static_cast<int>(text.integer());
      while (text.accept(",")) entry.max_threads *= static_cast<int>(text.integer());
    } else if (directive.kind == PtxToken::Kind::end) {
      throw Fault(FaultKind::unsupported, "PTX: no body for " + entry.name);
    }
  }
  entry.body = text.take_braces();
  const std::string name = entry.name;
  module.entries.emplace(name, std::move(entry));
}

void skip_function(PtxText& text) {
  while (!text.peek().is("{") && !text.peek().is(";")) text.next();
  if (text.peek().is("{"))
    text.take_braces();
  else
    text.next();
}

void read_files(PtxModule& module) {
  const std::string_view all = module.text;
  for (size_t at = 0; (at = all.find(".file", at)) != std::string_view::npos; ++at) {
    if (at == 0 || (all[at - 1] != '\n' && all[at - 1] != '\t')) continue;
    PtxText line(all.substr(at + 5, 4096));
    const int64_t index = line.integer();
    module.files[static_cast<int>(index)] = line.next().text;
  }
}

}  // namespace

std::unique_ptr<PtxModule> parse_ptx_module(std::string source) {
  auto module = std::make_unique<PtxModule>();
  module->text = std::move(source);
  read_files(*module);
  PtxText text(module->text);
  while (text.peek().kind != PtxToken::Kind::end) {
    const PtxToken token = text.next();
    if (token.is(".version") || token.is(".target") || token.is(".address_size") ||
        token.is(".file")) {
      text.skip_line();
    } else if (token.is(".entry")) {
      read_entry(text, *module);
    } else if (token.is(".func")) {
      skip_function(text);
    } else if (token.is(".section")) {
      text.next();
      text.take_braces();
    } else if (token.is(".global") || token.is(".const") || token.is(".shared")) {
      module->variables.push_back(read_variable(text, std::string(token.text)));
      text.expect(";");
    }
  }
  return module;
}

}  // namespace funnel::cudacpu
