#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/base/arena.h"

// What filters say of a request for later filters and logs to read (Envoy's dynamic metadata): JSON-like values, by the
// name of the filter and a key. All of it is in the arena of the request, whose thread it belongs to.

namespace weft::http {

struct MetadataEntry;

struct MetadataValue {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kList, kStruct };
  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  std::string_view text;
  // Of a list, whose keys are empty, or a struct.
  const MetadataEntry* entries = nullptr;
  size_t entry_count = 0;

  static MetadataValue of(std::string_view text) {
    MetadataValue value;
    value.kind = Kind::kString;
    value.text = text;
    return value;
  }
  static MetadataValue of_bool(bool truth) {
    MetadataValue value;
    value.kind = Kind::kBool;
    value.boolean = truth;
    return value;
  }
  std::span<const MetadataEntry> items() const;
  // Of a struct; nullptr if there is none.
  const MetadataValue* find(std::string_view key) const;
  void append_json(std::string& out) const;
};

struct MetadataEntry {
  std::string_view key;
  MetadataValue value;
};

class Metadata {
 public:
  bool empty() const { return last_ == nullptr; }
  // In place of what was there. Name, key and value must live as long as the arena.
  void set(base::Arena& arena, std::string_view name, std::string_view key, const MetadataValue& value);
  // path[0] is a key, the others lead on through structs. nullptr: nothing is there.
  const MetadataValue* find(std::string_view name, std::span<const std::string> path) const;
  // All that stands under a name, from the last that was set on.
  template <typename F>
  void for_each(std::string_view name, F f) const {
    for (const Node* node = last_; node != nullptr; node = node->before) {
      if (node->name == name) f(node->entry);
    }
  }
  // All that stands under a name, as a JSON object; false if nothing does.
  bool append_json(std::string_view name, std::string& out) const;
  void clear() { last_ = nullptr; }

 private:
  struct Node {
    Node* before;
    std::string_view name;
    MetadataEntry entry;
  };
  Node* find_node(std::string_view name, std::string_view key) const;
  Node* last_ = nullptr;
};

}  // namespace weft::http
