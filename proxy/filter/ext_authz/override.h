#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "proxy/route/route.h"

// What a route says to the authorization filter in place of the filter's own configuration (Envoy's ExtAuthzPerRoute).

namespace weft::filter {

// How much of a request's body the authorization service sees.
struct AuthzBody {
  uint32_t max_bytes = 0;  // What is longer is answered 413,
  bool partial = false;    // or the service sees its beginning.
  bool as_bytes = false;   // In a gRPC message: as it is, whether it is text or not.
};

struct AuthzOverride final : route::FilterOverride {
  bool disabled = false;
  std::map<std::string, std::string> extensions;  // With those of what the route stands in.
  bool without_body = false;
  std::optional<AuthzBody> body;
};

}  // namespace weft::filter
