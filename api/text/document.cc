#include "api/text/document.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"
#include "api/text/places.h"
#include "api/text/utf8.h"

namespace weft::text {

namespace {

// Nodes go without being destroyed.
static_assert(std::is_trivially_destructible_v<Node> && std::is_trivially_copyable_v<Node::Member>);

// Most texts find room in the first piece, which a text that is all names and brackets fills the most. A long text
// takes more pieces.
size_t first_piece(size_t text_bytes) {
  constexpr size_t kBytesPerByte = 6, kLeast = 512, kMost = 64 << 10;
  return std::clamp(std::min(text_bytes, kMost) * kBytesPerByte, kLeast, kMost);
}

}  // namespace

Document::Document(size_t text_bytes) : memory_(first_piece(text_bytes)) {}

char* Document::room(size_t bytes) { return static_cast<char*>(memory_.allocate(bytes, 1)); }

std::string_view Document::keep(std::string_view text) {
  if (text.empty()) return {};
  char* kept = room(text.size());
  std::memcpy(kept, text.data(), text.size());
  return {kept, text.size()};
}

Node* Document::add(const Node& node) { return new (memory_.allocate(sizeof(Node), alignof(Node))) Node(node); }

void Document::fill(Node* node, std::span<const Node* const> items) {
  if (items.empty()) return;
  auto* kept = static_cast<const Node**>(memory_.allocate(items.size_bytes(), alignof(const Node*)));
  std::uninitialized_copy(items.begin(), items.end(), kept);
  node->hold(std::span<const Node* const>(kept, items.size()));
}

void Document::fill(Node* node, std::span<const Node::Member> members) {
  if (members.empty()) return;
  auto* kept = static_cast<Node::Member*>(memory_.allocate(members.size_bytes(), alignof(Node::Member)));
  std::uninitialized_copy(members.begin(), members.end(), kept);
  node->hold(std::span<const Node::Member>(kept, members.size()));
}

Node* Document::add_list(std::span<const Node* const> items) {
  Node* node = add({Node::Kind::kList, {}});
  fill(node, items);
  return node;
}

Node* Document::add_map(std::span<const Node::Member> members) {
  Node* node = add({Node::Kind::kMap, {}});
  fill(node, members);
  return node;
}

bool find_invalid_utf8(std::string_view text, Position* position) {
  const size_t valid = valid_utf8(text);
  if (valid == text.size()) return false;
  *position = Places(text, 1).at(valid);
  return true;
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
  const std::string_view text = node.scalar();
  size_t length = std::min(text.size(), kMaxShown);
  const bool cut = length < text.size();
  const auto within_character = [text](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
  while (cut && length > 0 && within_character(length)) --length;
  return cat("\"", absl::Utf8SafeCEscape(to_absl(text.substr(0, length))), cut ? "…\"" : "\"");
}

}  // namespace weft::text
