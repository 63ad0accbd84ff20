#pragma once

// A YAML or JSON text as a tree that remembers positions: what stands between the two readers and parse(). A Document
// owns its nodes and all that they hold, in one piece of memory; aliases make them shared, never cyclic. Immutable once
// read.

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>

#include "api/text/position.h"

namespace weft::text {

// Small and plain, since a text has many: it goes with its document, and nothing has to be done for that.
class Node {
 public:
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  // kPlain: the text alone says whether it is a number, a boolean or a string. A JSON number or literal is kPlainJson.
  enum class Style : uint8_t { kPlain, kPlainJson, kQuoted };

  struct Member {
    std::string_view key;
    const Node* value = nullptr;
    Position position;
    // A YAML merge, `<<`, written without quotes.
    bool merge = false;
  };

  Node() = default;
  // An empty one.
  Node(Kind a_kind, Position at) : kind(a_kind), position(at) {}
  Node(std::string_view text, Style a_style, Position at)
      : kind(Kind::kScalar), style(a_style), position(at), size_(text.size()), content_(text.data()) {}

  // Each is empty in a node of another kind.
  std::string_view scalar() const {
    return kind == Kind::kScalar ? std::string_view(static_cast<const char*>(content_), size_) : std::string_view();
  }
  std::span<const Node* const> items() const {
    return {static_cast<const Node* const*>(content_), kind == Kind::kList ? size_ : 0};
  }
  std::span<const Member> members() const {
    return {static_cast<const Member*>(content_), kind == Kind::kMap ? size_ : 0};
  }

  void hold(std::span<const Node* const> items) {
    size_ = items.size();
    content_ = items.data();
  }
  void hold(std::span<const Member> members) {
    size_ = members.size();
    content_ = members.data();
  }

  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  Position position;

 private:
  size_t size_ = 0;
  const void* content_ = nullptr;
};

// "a map", "a list", "null", or the scalar in quotes, shortened: for messages.
std::string describe(const Node& node);

class Document {
 public:
  // For a text of so many bytes; more or less of it is no mistake.
  explicit Document(size_t text_bytes = 0);

  // What these return lives as long as the document.
  char* room(size_t bytes);
  std::string_view keep(std::string_view text);
  Node* add(const Node& node);
  Node* add_list(std::span<const Node* const> items);
  Node* add_map(std::span<const Node::Member> members);
  // Makes the items or the members, of which it keeps a copy, those of `node`.
  void fill(Node* node, std::span<const Node* const> items);
  void fill(Node* node, std::span<const Node::Member> members);

  const Node* root = nullptr;

 private:
  std::pmr::monotonic_buffer_resource memory_;
};

// What is wrong with a text as such, before anything is known of its meaning.
struct SyntaxError {
  Position position;
  std::string message;
};

// The first invalid UTF-8 sequence of `text`.
bool find_invalid_utf8(std::string_view text, Position* position);

// Each fills `document`, which is new, or says where and why not. `max_depth` bounds lists and maps within each other:
// who reads a tree may do so by recursion. The first line of the text is `first_line` of its file. `text` is UTF-8.
bool read_yaml(std::string_view text, int max_depth, int first_line, Document* document, SyntaxError* error);
bool read_json(std::string_view text, int max_depth, int first_line, Document* document, SyntaxError* error);

}  // namespace weft::text
