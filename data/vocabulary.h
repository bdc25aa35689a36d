// SPDX-License-Identifier: Apache-2.0
// A WordPiece vocabulary: one piece a line, its id the line number from 0; "##" begins a piece
// that continues a word. Reads BERT's vocab.txt and our own: special pieces are found by name, in
// BERT's spelling ([CLS]) or Funnel's (<cls>).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace funnel {

struct SpecialIds {
  int32_t pad = -1;
  int32_t unk = -1;
  int32_t cls = -1;
  int32_t sep = -1;
  int32_t mask = -1;
  friend bool operator==(const SpecialIds&, const SpecialIds&) = default;
};

class Vocabulary {
 public:
  // Throws an input error naming the file and line: unreadable; a piece empty, repeated or not
  // UTF-8; no such special piece.
  static Vocabulary read(const std::filesystem::path& path);

  // The content of such a file; `source` stands for its path in errors.
  static Vocabulary parse(std::string_view text, const std::string& source);

  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }
  const std::string& piece(int32_t id) const { return pieces_[static_cast<size_t>(id)]; }
  const SpecialIds& special() const { return special_; }
  const std::string& digest() const { return digest_; }  // SHA-256 of the file
  const std::string& text() const { return text_; }      // the file itself

  // The id of a piece, or -1.
  int32_t find(std::string_view piece) const {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> ids_;
  SpecialIds special_;
  std::string digest_;
  std::string text_;
};

// The special pieces in Funnel's spelling, in the order in which new vocabularies begin:
// <pad> <unk> <cls> <sep> <mask>.
const std::vector<std::string>& special_pieces();

}  // namespace funnel
