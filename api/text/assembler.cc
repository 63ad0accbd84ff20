#include "api/text/assembler.h"

#include <span>

namespace weft::text {

bool Assembler::is_open(const Node* node) const {
  for (const Open& open : open_) {
    if (open.node == node) return true;
  }
  return false;
}

void Assembler::key(std::string_view key, Position position, bool merge) {
  members_.push_back({key, nullptr, position, merge});
  open_.back().wants_key = false;
}

void Assembler::attach(const Node* node) {
  if (open_.empty()) {
    document_->root = node;
  } else if (open_.back().node->kind == Node::Kind::kList) {
    items_.push_back(node);
  } else {
    members_.back().value = node;
    open_.back().wants_key = true;
  }
}

void Assembler::open(Node* node) {
  const bool is_map = node->kind == Node::Kind::kMap;
  open_.push_back({node, is_map ? members_.size() : items_.size(), is_map});
}

void Assembler::close() {
  const Open closed = open_.back();
  open_.pop_back();
  if (closed.node->kind == Node::Kind::kMap) {
    document_->fill(closed.node, std::span<const Node::Member>(members_).subspan(closed.first));
    members_.resize(closed.first);
  } else {
    document_->fill(closed.node, std::span<const Node* const>(items_).subspan(closed.first));
    items_.resize(closed.first);
  }
}

}  // namespace weft::text
