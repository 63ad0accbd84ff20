#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/filter/filter.h"
#include "proxy/filter/jwt_authn/provider.h"
#include "proxy/filter/jwt_authn/remote_keys.h"

// The JWT filter (Envoy's envoy.filters.http.jwt_authn): a request without the tokens that it needs is answered 401, or
// 403 if its token is for others, in Envoy's words. What a good token says goes on to later filters, as metadata under
// the filter's name, and to the upstream, as headers; those of a client that have their names never do. Shared by all
// workers; its filters belong to one exchange each.

namespace weft::filter {

inline constexpr std::string_view kJwtMetadata = "envoy.filters.http.jwt_authn";

struct JwtConfig {
  std::string name;  // As configured.
  std::vector<JwtProviderPtr> providers;
  // The requirement of the first rule that matches; none if that has none.
  std::shared_ptr<const route::RouteTable> rules;
  std::unordered_map<const route::Route*, JwtRequirementPtr> requirement_of_rule;
  std::map<std::string, JwtRequirementPtr, std::less<>> named;
  bool bypass_cors_preflight = false;
  bool strip_failure_response = false;
  JwtStatsFamily stats;
};

FilterFactoryPtr make_jwt_filter(JwtConfig config);

}  // namespace weft::filter
