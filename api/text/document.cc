#include "api/text/document.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"
#include "api/text/utf8.h"

namespace weft::text {

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
