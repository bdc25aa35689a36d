// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizer_matcher.h"

#include <algorithm>
#include <deque>

#include "data/tokenizer_words.h"

namespace funnel {
namespace {

constexpr int32_t kWordBegins = 0;     // the trie of pieces that begin a word
constexpr int32_t kWordContinues = 1;  // of those that continue one, without their "##"
constexpr int32_t kBytes = 256;

struct Entry {
  std::string_view text;
  int32_t id;
  friend bool operator<(const Entry& a, const Entry& b) { return a.text < b.text; }
};

}  // namespace

struct PieceMatcher::Builder {
  // A node to be built: the entries that begin with its text, which has `depth` bytes.
  struct Pending {
    int32_t node;
    const std::vector<Entry>* entries;
    size_t begin, end, depth;
  };

  // Both tries a level at a time: failure links lead to nodes of less depth.
  void build(const std::vector<Entry>& begins, const std::vector<Entry>& continues) {
    occupy(1);
    pending.push_back({kWordBegins, &begins, 0, begins.size(), 0});
    pending.push_back({kWordContinues, &continues, 0, continues.size(), 0});
    for (; !pending.empty(); pending.pop_front()) add_children(pending.front());
  }

  void add_children(const Pending& of) {
    const std::vector<Entry>& entries = *of.entries;
    std::vector<Pending> children;
    for (size_t i = of.begin; i < of.end; ++i) {
      if (entries[i].text.size() == of.depth) continue;
      if (children.empty() ||
          byte_of(entries[i], of.depth) != byte_of(entries[children.back().begin], of.depth)) {
        children.push_back({0, of.entries, i, i, of.depth + 1});
      }
      children.back().end = i + 1;
    }
    if (children.empty()) return;
    const int32_t base = free_base(children, of.depth);
    matcher.nodes_[static_cast<size_t>(of.node)].base = base;
    for (Pending& child : children) {
      const unsigned char byte = byte_of(entries[child.begin], of.depth);
      child.node = base + byte;
      occupy(child.node);
      matcher.nodes_[static_cast<size_t>(child.node)].parent = of.node;
    }
    for (const Pending& child : children) {
      link(of.node, child.node, entries[child.begin], of.depth);
      pending.push_back(child);
    }
  }

  // Sets the failure link and the pops of a node.
  void link(int32_t parent, int32_t node, const Entry& first, size_t depth) {
    std::vector<int32_t> pops;
    int32_t failure = -1;
    if (first.text.size() == depth + 1) {
      pops.push_back(first.id);
      failure = kWordContinues;
    } else {
      const unsigned char byte = byte_of(first, depth);
      append_pops(parent, pops);
      int32_t from = matcher.nodes_[static_cast<size_t>(parent)].failure;
      while (from >= 0 && (failure = matcher.child(from, byte)) < 0) {
        append_pops(from, pops);
        from = matcher.nodes_[static_cast<size_t>(from)].failure;
      }
      if (failure < 0) return;
    }
    Node& at = matcher.nodes_[static_cast<size_t>(node)];
    at.failure = failure;
    at.pops_begin = static_cast<uint32_t>(matcher.pops_.size());
    matcher.pops_.insert(matcher.pops_.end(), pops.begin(), pops.end());
    at.pops_end = static_cast<uint32_t>(matcher.pops_.size());
  }

  void append_pops(int32_t node, std::vector<int32_t>& pops) const {
    const Node& from = matcher.nodes_[static_cast<size_t>(node)];
    pops.insert(pops.end(), matcher.pops_.begin() + from.pops_begin,
                matcher.pops_.begin() + from.pops_end);
  }

  static unsigned char byte_of(const Entry& entry, size_t depth) {
    return static_cast<unsigned char>(entry.text[depth]);
  }

  // A base with room for all the children. Only children go into the first gap; families go behind
  // the last one, since they would find that most gaps are too narrow.
  int32_t free_base(const std::vector<Pending>& children, size_t depth) {
    const auto byte = [&](const Pending& child) {
      return byte_of((*child.entries)[child.begin], depth);
    };
    while (is_taken(first_gap)) ++first_gap;
    const bool is_only_child = children.size() == 1;
    int32_t base = is_only_child ? first_gap - byte(children.front()) : family_base;
    while (std::any_of(children.begin(), children.end(),
                       [&](const Pending& child) { return is_taken(base + byte(child)); })) {
      ++base;
    }
    if (!is_only_child) family_base = base;
    return base;
  }

  bool is_taken(int32_t place) const {
    return static_cast<size_t>(place) < taken.size() && taken[static_cast<size_t>(place)];
  }

  // Nodes reach far enough that every byte of every base may be looked up.
  void occupy(int32_t place) {
    const auto needed = static_cast<size_t>(place + 1);
    if (taken.size() < needed) taken.resize(needed);
    if (matcher.nodes_.size() < needed + kBytes) matcher.nodes_.resize(needed + kBytes);
    taken[static_cast<size_t>(place)] = true;
  }

  PieceMatcher& matcher;
  std::vector<bool> taken = {true};
  int32_t first_gap = kBytes;  // so that no base is below 0
  int32_t family_base = 0;
  std::deque<Pending> pending;
};

PieceMatcher::PieceMatcher(const Vocabulary& vocabulary, int64_t max_chars) {
  std::vector<Entry> begins, continues;
  for (int64_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    std::string_view text = vocabulary.piece(id);
    const bool is_begin = !text.starts_with("##");
    if (!is_begin) text.remove_prefix(2);
    if (text.empty() || utf8_characters(text) > max_chars) continue;
    (is_begin ? begins : continues).push_back({text, id});
  }
  std::sort(begins.begin(), begins.end());
  std::sort(continues.begin(), continues.end());
  Builder{.matcher = *this, .pending = {}}.build(begins, continues);
}

int64_t PieceMatcher::match(std::string_view word, int32_t* ids) const {
  const int32_t* const begin = ids;
  int32_t node = kWordBegins;
  const auto fail = [&] {
    const Node& from = nodes_[static_cast<size_t>(node)];
    for (uint32_t i = from.pops_begin; i < from.pops_end; ++i) *ids++ = pops_[i];
    node = from.failure;
  };
  for (const char byte : word) {
    int32_t next = -1;
    while ((next = child(node, static_cast<unsigned char>(byte))) < 0) {
      fail();
      if (node < 0) return 0;
    }
    node = next;
  }
  while (node != kWordContinues) {
    fail();
    if (node < 0) return 0;
  }
  return ids - begin;
}

}  // namespace funnel
