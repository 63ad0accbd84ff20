#pragma once

// Where in a file each field of a parsed message was written. A PositionMap is filled once by parse() and read by
// whoever finds fault with the message later; it belongs to the caller and is not synchronised.
//
// A field path uses proto field names: `static_resources.clusters[2].metadata.filter_metadata["a.b"]`. The content of
// an Any stands directly under the Any's own path, as it does in the text. The root's path is empty.

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weft::text {

// Both count from 1; 0 means unknown. A column counts characters, not bytes.
struct Position {
  int line = 0;
  int column = 0;
  bool known() const { return line > 0; }
};

// `path` extended by a field, a list index, or a map key; the one spelling that parse(), PositionMap and
// find_unsupported() share.
std::string field_path(std::string_view path, std::string_view field_name);
std::string index_path(std::string_view path, size_t index);
std::string key_path(std::string_view path, std::string_view key);

// The path one step up: without its last field, index or key. The root's parent is the root.
std::string_view parent_path(std::string_view path);

class PositionMap {
 public:
  PositionMap() = default;
  explicit PositionMap(std::string file_name) : file_name_(std::move(file_name)) {}

  const std::string& file_name() const { return file_name_; }
  size_t size() const { return positions_.size(); }

  // Keeps the first position of a path: a field stands where it was first written.
  void add(std::string_view path, Position position);

  // The position of `path`, or of the nearest enclosing path that was written in the file.
  Position find(std::string_view path) const;

  // "envoy.yaml:12:7: static_resources.clusters[2]"; parts that are unknown are left out.
  std::string locate(std::string_view path) const;

 private:
  // Lookups by view make no string.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::string file_name_;
  std::unordered_map<std::string, Position, Hash, std::equal_to<>> positions_;
};

}  // namespace weft::text
