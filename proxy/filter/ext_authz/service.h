#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/filter/ext_authz/override.h"
#include "proxy/route/matcher.h"
#include "proxy/route/route.h"

// The authorization service: where it is, what it is told of a request, and what of an answer over HTTP goes where.
// Compiled, immutable, shared by all workers.

namespace weft::filter {

// Names of headers, which are compared in lower case.
struct HeaderNames {
  std::vector<route::StringMatcher> patterns;

  bool empty() const { return patterns.empty(); }
  bool contains(std::string_view lower_name) const {
    for (const route::StringMatcher& each : patterns) {
      if (each.matches(lower_name)) return true;
    }
    return false;
  }
};

struct AuthzService {
  enum class Kind : uint8_t { kHttp, kGrpc };
  Kind kind = Kind::kGrpc;
  std::string cluster;
  int64_t timeout_ms = 200;                 // 0: none.
  std::vector<route::HeaderValue> headers;  // That every question has, in place of the request's own.

  // Of gRPC.
  std::string authority;  // Empty: the cluster's name.
  uint32_t max_message_bytes = 1024 * 1024;

  // Of HTTP.
  std::string path_prefix;
  std::string path;  // In place of the request's own; empty: that.
  HeaderNames to_upstream;
  HeaderNames to_upstream_appended;
  HeaderNames to_client;  // Of a refusal; empty: all.
  HeaderNames to_client_on_success;
  HeaderNames to_metadata;
};

// What the service is told.
struct AuthzFacts {
  std::optional<AuthzBody> body;
  std::optional<HeaderNames> headers;  // None: all.
  HeaderNames withheld_headers;
  bool raw_headers = false;           // Each value as it is and by itself.
  std::vector<std::string> metadata;  // Of which filters.
  bool peer_certificate = false;
  bool tls_session = false;
  std::vector<std::pair<std::string, std::string>> own_labels;
};

}  // namespace weft::filter
