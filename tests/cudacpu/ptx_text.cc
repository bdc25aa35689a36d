// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/ptx_text.h"

#include <bit>
#include <cctype>
#include <cstdlib>

#include "tests/cudacpu/fault.h"

namespace funnel::cudacpu {
namespace {

bool begins_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

bool continues_word(char c) {
  return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == ':';
}

}  // namespace

const PtxToken& PtxText::peek() {
  if (!have_) {
    skip_space();
    token_at_ = at_;
    token_ = scan();
    have_ = true;
  }
  return token_;
}

PtxToken PtxText::next() {
  peek();
  have_ = false;
  return token_;
}

bool PtxText::accept(std::string_view expected) {
  if (!peek().is(expected)) return false;
  next();
  return true;
}

void PtxText::expect(std::string_view expected) {
  const PtxToken found = next();
  if (found.is(expected)) return;
  throw Fault(FaultKind::unsupported, "PTX: expected '" + std::string(expected) + "', found '" +
                                          std::string(found.text) + "'");
}

std::string_view PtxText::word() {
  const PtxToken found = next();
  if (found.kind == PtxToken::Kind::word) return found.text;
  throw Fault(FaultKind::unsupported,
              "PTX: expected a word, found '" + std::string(found.text) + "'");
}

int64_t PtxText::integer() {
  const bool negative = accept("-");
  const PtxToken found = next();
  if (found.kind != PtxToken::Kind::number) {
    throw Fault(FaultKind::unsupported,
                "PTX: expected a number, found '" + std::string(found.text) + "'");
  }
  const auto value = static_cast<int64_t>(found.bits);
  return negative ? -value : value;
}

void PtxText::skip_line() {
  if (have_) at_ = token_at_;
  have_ = false;
  while (at_ < text_.size() && text_[at_] != '\n') ++at_;
}

std::string_view PtxText::take_braces() {
  expect("{");
  const size_t begin = at_;
  int depth = 1;
  for (; at_ < text_.size(); ++at_) {
    if (text_[at_] == '"') {
      while (++at_ < text_.size() && text_[at_] != '"') {
      }
    } else if (text_[at_] == '{') {
      ++depth;
    } else if (text_[at_] == '}' && --depth == 0) {
      break;
    }
  }
  const std::string_view inside = text_.substr(begin, at_ - begin);
  if (at_ < text_.size()) ++at_;
  return inside;
}

void PtxText::skip_space() {
  while (at_ < text_.size()) {
    if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
      ++at_;
    } else if (text_.compare(at_, 2, "//") == 0) {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (text_.compare(at_, 2, "/*") == 0) {
      const size_t end = text_.find("*/", at_ + 2);
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
    } else {
      return;
    }
  }
}

PtxToken PtxText::scan() {
  if (at_ >= text_.size()) return {};
  const size_t begin = at_;
  const char c = text_[at_];
  if (std::isdigit(static_cast<unsigned char>(c)) != 0) return scan_number();
  PtxToken token;
  if (c == '"') {
    const size_t end = text_.find('"', at_ + 1);
    at_ = end == std::string_view::npos ? text_.size() : end + 1;
    token.kind = PtxToken::Kind::text;
    token.text = text_.substr(begin + 1, at_ - begin - 2);
    return token;
  }
  if (begins_word(c)) {
    while (at_ < text_.size() && continues_word(text_[at_])) {
      // "L::cache_hint" holds colons; a colon after a label stands alone.
      if (text_[at_] == ':') {
        if (text_.compare(at_, 2, "::") != 0) break;
        ++at_;
      }
      ++at_;
    }
    token.kind = PtxToken::Kind::word;
  } else {
    ++at_;
    token.kind = PtxToken::Kind::mark;
  }
  token.text = text_.substr(begin, at_ - begin);
  return token;
}

PtxToken PtxText::scan_number() {
  const size_t begin = at_;
  while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                (text_[at_] == '.' && at_ + 1 < text_.size() &&
                                 std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) != 0))) {
    ++at_;
  }
  PtxToken token;
  token.kind = PtxToken::Kind::number;
  token.text = text_.substr(begin, at_ - begin);
  const std::string copy(token.text);
  const char second = copy.size() > 1 ? static_cast<char>(std::tolower(copy[1])) : '\0';
  if (second == 'f' || second == 'd') {
    token.bits = std::strtoull(copy.c_str() + 2, nullptr, 16);
    token.float_width = second == 'f' ? 32 : 64;
  } else if (copy.find('.') != std::string::npos) {
    token.bits = std::bit_cast<uint64_t>(std::strtod(copy.c_str(), nullptr));
    token.float_width = 64;
  } else {
    token.bits = std::strtoull(copy.c_str(), nullptr, 0);
  }
  return token;
}

}  // namespace funnel::cudacpu
