// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "tests/cudacpu/fault.h"
#include "tests/cudacpu/ptx_parse.h"
#include "tests/cudacpu/ptx_text.h"
#include "tests/cudacpu/ptx_variable.h"

namespace funnel::cudacpu {
namespace {

// The instructions of one body.
class BodyParser {
 public:
  BodyParser(const PtxModule& module, const PtxEntry& entry) : module_(module), text_(entry.body) {
    function_.name = entry.name;
    function_.parameters = entry.parameters;
    function_.sources.push_back({"unknown", 0});
  }

  PtxFunction parse() {
    while (text_.peek().kind != PtxToken::Kind::end) statement();
    resolve_labels();
    lay_out_variables();
    return std::move(function_);
  }

 private:
  void statement() {
    const size_t begin = text_.position();
    if (text_.accept("{")) {
      parents_.push_back(scope_);
      scope_ = static_cast<int>(parents_.size()) - 1;
      return;
    }
    if (text_.accept("}")) {
      scope_ = parents_[scope_];
      return;
    }
    if (text_.accept(";")) return;
    PtxInstruction one;
    if (text_.accept("@")) {
      one.guard_negated = text_.accept("!");
      one.guard = resolve_register(text_.word());
    }
    const std::string_view word = text_.word();
    if (word[0] == '.') return directive(word);
    if (text_.accept(":")) return label(std::string(word));
    split_opcode(word, one);
    // Only failing assertions call: what is passed does not matter.
    if (one.parts[0] == "st" && one.has("param")) return skip_statement();
    if (one.parts[0] == "call") {
      skip_statement();
    } else {
      while (!text_.accept(";")) {
        one.operands.push_back(operand());
        text_.accept(",");
      }
    }
    one.text = tidy(text_.between(begin, text_.position()));
    one.source = source_;
    scopes_.push_back(scope_);
    function_.instructions.push_back(std::move(one));
  }

  void skip_statement() {
    while (!text_.accept(";")) text_.next();
  }

  static std::string tidy(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, text.find(';'))) {
      if (c == '\t' || c == '\n') c = ' ';
      if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    return out;
  }

  static void split_opcode(std::string_view word, PtxInstruction& one) {
    for (size_t at = 0; at <= word.size();) {
      const size_t dot = std::min(word.find('.', at), word.size());
      one.parts.emplace_back(word.substr(at, dot - at));
      at = dot + 1;
    }
  }

  void directive(std::string_view word) {
    if (word == ".reg") {
      declare_registers();
    } else if (word == ".loc") {
      location();
    } else if (word == ".shared" || word == ".local") {
      function_.variables.push_back(read_variable(text_, std::string(word)));
      text_.expect(";");
    } else if (word == ".pragma" || word == ".param") {
      skip_statement();
    } else {
      throw Fault(FaultKind::unsupported,
                  "PTX: unknown directive " + std::string(word) + " in " + function_.name);
    }
  }

  void label(std::string name) {
    if (text_.accept(".branchtargets")) {
      std::vector<std::string>& targets = function_.tables[name];
      do {
        targets.emplace_back(text_.word());
      } while (text_.accept(","));
      text_.expect(";");
      return;
    }
    function_.labels[scoped(name, scope_)] = static_cast<int>(function_.instructions.size());
  }

  static std::string scoped(const std::string& name, int scope) {
    return scope == 0 ? name : name + "#" + std::to_string(scope);
  }

  void declare_registers() {
    const int bits = bits_of_type(text_.word());
    do {
      const std::string name(text_.word());
      if (text_.accept("<")) {
        const int64_t count = text_.integer();
        text_.expect(">");
        for (int64_t i = 0; i < count; ++i) {
          function_.registers[scoped(name + std::to_string(i), scope_)] = bits;
        }
      } else {
        function_.registers[scoped(name, scope_)] = bits;
      }
    } while (text_.accept(","));
    text_.expect(";");
  }

  // Inline assembly declares registers within braces; the innermost declaration counts.
  std::string resolve_register(std::string_view name) const {
    for (int scope = scope_; scope != 0; scope = parents_[scope]) {
      const std::string inner = scoped(std::string(name), scope);
      if (function_.registers.count(inner) != 0) return inner;
    }
    return std::string(name);
  }

  PtxOperand operand() {
    PtxOperand one = simple_operand();
    if (!text_.accept("|")) return one;
    PtxOperand pair;
    pair.kind = PtxOperand::Kind::pair;
    pair.parts = {std::move(one), simple_operand()};
    return pair;
  }

  PtxOperand simple_operand() {
    PtxOperand one;
    if (text_.accept("{")) {
      one.kind = PtxOperand::Kind::vector;
      while (!text_.accept("}")) {
        one.parts.push_back(simple_operand());
        text_.accept(",");
      }
    } else if (text_.accept("[")) {
      one.kind = PtxOperand::Kind::address;
      if (text_.peek().kind == PtxToken::Kind::word) one.name = resolve_register(text_.word());
      if (text_.accept("+") || one.name.empty() || text_.peek().is("-")) {
        one.offset = text_.integer();
      }
      text_.expect("]");
    } else if (text_.peek().kind == PtxToken::Kind::word) {
      one.name = resolve_register(text_.word());
      if (text_.accept("+")) one.offset = text_.integer();
    } else {
      one.negated = text_.accept("!");
      if (one.negated) {
        one.name = resolve_register(text_.word());
        return one;
      }
      const bool negative = text_.accept("-");
      const PtxToken number = text_.next();
      if (number.kind != PtxToken::Kind::number) {
        throw Fault(FaultKind::unsupported,
                    "PTX: expected an operand, found '" + std::string(number.text) + "'");
      }
      one.kind = PtxOperand::Kind::immediate;
      one.bits = negative ? -number.bits : number.bits;
      one.float_width = number.float_width;
    }
    return one;
  }

  // ".loc file line column[, function_name …, inlined_at file line column]". Lines of the toolkit's
  // headers are traded for the line of ours that they were inlined into.
  void location() {
    std::array<int64_t, 3> here = read_place();
    if (text_.accept(",")) {
      text_.expect("function_name");
      text_.word();
      if (text_.accept("+")) text_.integer();
      text_.expect(",");
      text_.expect("inlined_at");
      inlined_[here] = read_place();
    } else {
      inlined_.erase(here);
    }
    for (int depth = 0; depth < 32 && inlined_.count(here) != 0; ++depth) {
      if (file_name(here[0]).find("/include/") == std::string::npos) break;
      here = inlined_[here];
    }
    if (here[1] == 0) return;  // code of no line belongs to what surrounds it
    const SourceLine line{file_name(here[0]), static_cast<int>(here[1])};
    SourceLine& last = function_.sources.back();
    if (last.file != line.file || last.line != line.line) function_.sources.push_back(line);
    source_ = static_cast<int>(function_.sources.size()) - 1;
  }

  std::array<int64_t, 3> read_place() {
    const int64_t file = text_.integer();
    const int64_t line = text_.integer();
    return {file, line, text_.integer()};
  }

  std::string file_name(int64_t file) const {
    const auto found = module_.files.find(static_cast<int>(file));
    return found == module_.files.end() ? "unknown" : found->second;
  }

  // A label in braces is known there only; branches name the innermost one.
  void resolve_labels() {
    for (size_t i = 0; i < function_.instructions.size(); ++i) {
      PtxInstruction& one = function_.instructions[i];
      if (one.parts[0] != "bra") continue;
      std::string& target = one.operands.at(0).name;
      for (int scope = scopes_[i]; scope != 0; scope = parents_[scope]) {
        if (function_.labels.count(scoped(target, scope)) == 0) continue;
        target = scoped(target, scope);
        break;
      }
    }
  }

  void lay_out_variables() {
    std::map<std::string, int64_t> end;
    for (PtxVariable& one : function_.variables) {
      int64_t& used = end[one.space];
      one.offset = (used + one.align - 1) / one.align * one.align;
      used = one.offset + one.bytes;
    }
  }

  const PtxModule& module_;
  PtxText text_;
  PtxFunction function_;
  std::vector<int> parents_ = {0};  // of each scope; 0 is the body itself
  int scope_ = 0;
  std::vector<int> scopes_;  // of each instruction
  int source_ = 0;
  std::map<std::array<int64_t, 3>, std::array<int64_t, 3>> inlined_;
};

// Debug sections hold the paths only for debuggers; ".file" lines hold them too.
}  // namespace

bool PtxInstruction::has(std::string_view part) const {
  return std::find(parts.begin() + 1, parts.end(), part) != parts.end();
}

PtxFunction parse_ptx_body(const PtxModule& module, const PtxEntry& entry) {
  return BodyParser(module, entry).parse();
}

}  // namespace funnel::cudacpu
