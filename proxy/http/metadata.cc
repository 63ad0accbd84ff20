#include "proxy/http/metadata.h"

#include <charconv>
#include <cmath>

namespace weft::http {
namespace {

void append_json_text(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_number(double number, std::string& out) {
  // JSON has neither infinity nor "not a number".
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  char text[32];
  char* end = std::to_chars(text, text + sizeof(text), number).ptr;
  out.append(text, end);
}

}  // namespace

std::span<const MetadataEntry> MetadataValue::items() const { return {entries, entry_count}; }

const MetadataValue* MetadataValue::find(std::string_view key) const {
  if (kind != Kind::kStruct) return nullptr;
  for (const MetadataEntry& entry : items()) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void MetadataValue::append_json(std::string& out) const {
  switch (kind) {
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBool:
      out += boolean ? "true" : "false";
      return;
    case Kind::kNumber:
      return append_number(number, out);
    case Kind::kString:
      return append_json_text(text, out);
    case Kind::kList:
    case Kind::kStruct:
      break;
  }
  bool is_struct = kind == Kind::kStruct;
  out += is_struct ? '{' : '[';
  for (const MetadataEntry& entry : items()) {
    if (&entry != entries) out += ',';
    if (is_struct) {
      append_json_text(entry.key, out);
      out += ':';
    }
    entry.value.append_json(out);
  }
  out += is_struct ? '}' : ']';
}

Metadata::Node* Metadata::find_node(std::string_view name, std::string_view key) const {
  for (Node* node = last_; node != nullptr; node = node->before) {
    if (node->name == name && node->entry.key == key) return node;
  }
  return nullptr;
}

void Metadata::set(base::Arena& arena, std::string_view name, std::string_view key, const MetadataValue& value) {
  if (Node* node = find_node(name, key)) {
    node->entry.value = value;
    return;
  }
  last_ = arena.make<Node>(Node{last_, name, {key, value}});
}

const MetadataValue* Metadata::find(std::string_view name, std::span<const std::string> path) const {
  if (path.empty()) return nullptr;
  const Node* node = find_node(name, path[0]);
  const MetadataValue* value = node == nullptr ? nullptr : &node->entry.value;
  for (size_t i = 1; i < path.size() && value != nullptr; ++i) value = value->find(path[i]);
  return value;
}

bool Metadata::append_json(std::string_view name, std::string& out) const {
  bool some = false;
  for (const Node* node = last_; node != nullptr; node = node->before) {
    if (node->name != name) continue;
    out += some ? ',' : '{';
    some = true;
    append_json_text(node->entry.key, out);
    out += ':';
    node->entry.value.append_json(out);
  }
  if (some) out += '}';
  return some;
}

}  // namespace weft::http
