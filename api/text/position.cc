#include "api/text/position.h"

#include "absl/strings/escaping.h"
#include "api/text/cat.h"

namespace weft::text {

namespace {

// The start of a trailing `["key"]`, or npos. Keys are escaped, so an unescaped quote can only be a delimiter.
size_t key_start(std::string_view path) {
  for (size_t i = path.size() - 2; i > 1; --i) {
    if (path[i - 1] != '"' || path[i - 2] != '[') continue;
    if (i - 2 == 0 || path[i - 3] != '\\') return i - 2;
  }
  return path.size() >= 2 && path[0] == '[' && path[1] == '"' ? 0 : std::string_view::npos;
}

}  // namespace

std::string field_path(std::string_view path, std::string_view field_name) {
  return path.empty() ? std::string(field_name) : cat(path, ".", field_name);
}

std::string index_path(std::string_view path, size_t index) { return cat(path, "[", index, "]"); }

std::string key_path(std::string_view path, std::string_view key) {
  return cat(path, "[\"", absl::Utf8SafeCEscape(to_absl(key)), "\"]");
}

std::string_view parent_path(std::string_view path) {
  if (path.empty()) return path;
  if (path.back() == ']') {
    const bool is_key = path.size() >= 4 && path[path.size() - 2] == '"';
    const size_t start = is_key ? key_start(path) : path.rfind('[');
    return start == std::string_view::npos ? std::string_view() : path.substr(0, start);
  }
  const size_t dot = path.rfind('.');
  const size_t bracket = path.rfind(']');
  if (dot == std::string_view::npos || (bracket != std::string_view::npos && dot < bracket)) return {};
  return path.substr(0, dot);
}

void PositionMap::add(std::string_view path, Position position) { positions_.try_emplace(std::string(path), position); }

Position PositionMap::find(std::string_view path) const {
  while (true) {
    const auto found = positions_.find(path);
    if (found != positions_.end()) return found->second;
    if (path.empty()) return {};
    path = parent_path(path);
  }
}

std::string PositionMap::locate(std::string_view path) const {
  std::string out = file_name_;
  const Position position = find(path);
  if (position.known()) append(&out, out.empty() ? "" : ":", position.line, ":", position.column);
  if (!path.empty()) append(&out, out.empty() ? "" : ": ", path);
  return out;
}

}  // namespace weft::text
