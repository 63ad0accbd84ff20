#pragma once

#include <string_view>

#include "proxy/http/message.h"
#include "proxy/snapshot/snapshot.h"

// How a connection manager writes the path of a request before it is routed by it, by Envoy's rules. Pure; any thread.

namespace weft::stream {

struct PathRules {
  bool normalize = false;
  bool merge_slashes = false;
  snapshot::PathAction escaped_slashes = snapshot::PathAction::kKeepUnchanged;
};

struct CanonicalPath {
  std::string_view path;     // With the query, in `arena` or as it was.
  std::string_view refused;  // Not empty: why the request is answered with 400.
  bool redirects = false;    // The client is sent to `path`.
};

// Of a path that begins with a slash, with its query.
CanonicalPath canonical_path(std::string_view path, const PathRules& rules, base::Arena& arena);

// The path with unreserved characters unescaped and dot segments resolved (RFC 3986, 6.2.2); empty if it cannot be.
std::string_view normalize_path(std::string_view path, base::Arena& arena);
std::string_view merge_slashes(std::string_view path, base::Arena& arena);

}  // namespace weft::stream
