#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/filter/jwt_authn/key_source.h"
#include "proxy/route/matcher.h"

// Who issues tokens, where they are looked for and what a good one is good for; and which of them a request needs.
// Compiled, immutable, shared by all workers.

namespace weft::filter {

struct JwtProvider {
  std::string name;
  std::string issuer;                  // Empty: any.
  std::vector<std::string> audiences;  // As is_audience() compares them; empty: any.
  std::optional<route::StringMatcher> subjects;
  bool require_expiration = false;
  int64_t max_lifetime_s = 0;  // 0: none.
  int64_t clock_skew_s = 60;
  KeySourcePtr keys;

  struct HeaderLocation {
    std::string name;  // Lower case.
    std::string prefix;
  };
  std::vector<HeaderLocation> headers;
  std::vector<std::string> params;
  std::vector<std::string> cookies;
  bool forward = false;  // The token stays in the request.

  std::string payload_header;  // Empty: none.
  bool pad_payload_header = false;
  std::string payload_key;  // In the metadata; empty: none.
  std::string header_key;
  std::vector<std::string> split_claims;
  struct ClaimHeader {
    std::string header;
    std::vector<std::string> path;
  };
  std::vector<ClaimHeader> claim_headers;
  bool clear_route_cache = false;
};
using JwtProviderPtr = std::shared_ptr<const JwtProvider>;

struct JwtRequirement {
  enum class Kind : uint8_t { kProvider, kAny, kAll, kAllowMissing, kAllowMissingOrFailed, kNothing };
  Kind kind = Kind::kProvider;
  JwtProviderPtr provider;
  std::optional<std::vector<std::string>> audiences;  // In place of the provider's.
  std::vector<JwtRequirement> parts;
};
using JwtRequirementPtr = std::shared_ptr<const JwtRequirement>;

// An audience without scheme and without slash at its end: as Envoy compares them.
std::string bare_audience(std::string_view audience);

}  // namespace weft::filter
