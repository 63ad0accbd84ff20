#include "api/text/document.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"

namespace weft::text {

namespace {

// Bytes of a well-formed sequence at the start of `text` (RFC 3629), or 0.
size_t utf8_sequence(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                        : first >= 0xE0 && first <= 0xEF ? 3
                        : first >= 0xF0 && first <= 0xF4 ? 4
                                                         : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) > 0x9F;
  const bool too_large = first == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || too_large ? 0 : length;
}

}  // namespace

bool find_invalid_utf8(std::string_view text, Position* position) {
  *position = {1, 1};
  while (!text.empty()) {
    const size_t length = utf8_sequence(text);
    if (length == 0) return true;
    if (text[0] == '\n') {
      ++position->line;
      position->column = 1;
    } else {
      ++position->column;
    }
    text.remove_prefix(length);
  }
  return false;
}

void Document::move_down(int lines) {
  if (lines == 0) return;
  for (Node& node : nodes) {
    node.position.line += lines;
    for (Node::Member& member : node.members) member.position.line += lines;
  }
}

std::string describe(const Node& node) {
  constexpr size_t kMaxShown = 60;
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
    case Node::Kind::kScalar:
      break;
  }
  size_t length = std::min(node.scalar.size(), kMaxShown);
  const bool cut = length < node.scalar.size();
  const auto within_character = [&node](size_t at) {
    return (static_cast<unsigned char>(node.scalar[at]) & 0xC0) == 0x80;
  };
  while (cut && length > 0 && within_character(length)) --length;
  return cat("\"", absl::Utf8SafeCEscape(node.scalar.substr(0, length)), cut ? "…\"" : "\"");
}

}  // namespace weft::text
