#include "proxy/stream/canonical_path.h"

#include <cstring>

namespace weft::stream {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// The byte that a '%' at `i` stands for; -1 if no two hex digits follow.
int escaped_byte(std::string_view path, size_t i) {
  if (i + 2 >= path.size()) return -1;
  int high = hex_value(path[i + 1]), low = hex_value(path[i + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_escaped_slash(std::string_view path, size_t i) {
  if (path[i] != '%') return false;
  int value = escaped_byte(path, i);
  return value == '/' || value == '\\';
}

bool has_escaped_slash(std::string_view path) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (is_escaped_slash(path, i)) return true;
  }
  return false;
}

std::string_view unescape_slashes(std::string_view path, base::Arena& arena) {
  char* out = static_cast<char*>(arena.allocate(path.size(), 1));
  size_t size = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    bool escaped = is_escaped_slash(path, i);
    out[size++] = escaped ? static_cast<char>(escaped_byte(path, i)) : path[i];
    if (escaped) i += 2;
  }
  return {out, size};
}

// True if normalize_path() would give the path back as it is.
bool is_normal(std::string_view path) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' || path[i] == '\\') return false;
    if (path[i] == '.' && i > 0 && path[i - 1] == '/') return false;
  }
  return true;
}

}  // namespace

std::string_view normalize_path(std::string_view path, base::Arena& arena) {
  std::string_view only = http::path_only(path);
  if (is_normal(only)) return path;
  std::string_view query = path.substr(only.size());
  if (only.empty() || only[0] != '/') return {};
  char* out = static_cast<char*>(arena.allocate(only.size() + 1, 1));
  size_t size = 0;
  for (size_t i = 0; i < only.size(); ++i) {
    char c = only[i];
    if (c == '\\') c = '/';
    if (c == '%') {
      int byte = escaped_byte(only, i);
      if (byte <= 0) return {};
      auto value = static_cast<char>(byte);
      if (is_unreserved(value)) {
        c = value;
        i += 2;
      }
    }
    out[size++] = c;
  }
  // Segments are written back over the same bytes: the result is never longer.
  size_t to = 0;
  for (size_t from = 0; from < size;) {
    size_t end = from + 1;
    while (end < size && out[end] != '/') ++end;
    std::string_view segment(out + from + 1, end - from - 1);
    bool last = end == size;
    if (segment == "." || segment == "..") {
      if (segment == "..") {
        while (to > 0 && out[to - 1] != '/') --to;
        if (to > 0) --to;
      }
      if (last) out[to++] = '/';
    } else {
      std::memmove(out + to, out + from, end - from);
      to += end - from;
    }
    from = end;
  }
  if (to == 0) out[to++] = '/';
  return arena.concat({out, to}, query);
}

std::string_view merge_slashes(std::string_view path, base::Arena& arena) {
  std::string_view only = http::path_only(path);
  if (only.find("//") == std::string_view::npos) return path;
  char* out = static_cast<char*>(arena.allocate(path.size(), 1));
  size_t size = 0;
  for (char c : only) {
    if (c == '/' && size > 0 && out[size - 1] == '/') continue;
    out[size++] = c;
  }
  return arena.concat({out, size}, path.substr(only.size()));
}

CanonicalPath canonical_path(std::string_view path, const PathRules& rules, base::Arena& arena) {
  using Action = snapshot::PathAction;
  CanonicalPath result{path, {}, false};
  std::string_view only = http::path_only(path);
  if (rules.escaped_slashes != Action::kKeepUnchanged && has_escaped_slash(only)) {
    if (rules.escaped_slashes == Action::kReject) {
      result.refused = "the path has an escaped slash";
      return result;
    }
    result.path = arena.concat(unescape_slashes(only, arena), path.substr(only.size()));
    result.redirects = rules.escaped_slashes == Action::kUnescapeAndRedirect;
  }
  if (rules.normalize) {
    result.path = normalize_path(result.path, arena);
    if (result.path.empty()) {
      result.refused = "the path cannot be normalized";
      return result;
    }
  }
  if (rules.merge_slashes) result.path = merge_slashes(result.path, arena);
  return result;
}

}  // namespace weft::stream
