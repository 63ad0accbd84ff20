#pragma once

// Puts a document together from what a reader meets, in the order of the text. Of one reader, on its thread.

#include <cstddef>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "api/text/document.h"

namespace weft::text {

class Assembler {
 public:
  // `document` outlives it.
  explicit Assembler(Document* document) : document_(document) {}

  // Lists and maps that are open.
  int depth() const { return static_cast<int>(open_.size()); }
  bool is_open(const Node* node) const;
  // Whether the next to come is a key of a map.
  bool wants_key() const { return !open_.empty() && open_.back().wants_key; }

  // A key of the innermost map; its value is the next that is attached. `key` is the document's.
  void key(std::string_view key, Position position, bool merge);
  // A node of the document: the root, or an item, or the value of a member.
  void attach(const Node* node);
  // A list or map that is attached: what comes is its content until it is closed.
  void open(Node* node);
  void close();

 private:
  struct Open {
    Node* node;
    // Of its items or members, among those of all that are open.
    size_t first;
    bool wants_key;
  };

  Document* const document_;
  absl::InlinedVector<Open, 16> open_;
  absl::InlinedVector<const Node*, 32> items_;
  absl::InlinedVector<Node::Member, 32> members_;
};

}  // namespace weft::text
