#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/filter/ext_authz/changes.h"
#include "proxy/filter/ext_authz/service.h"
#include "proxy/filter/filter.h"
#include "proxy/observe/metrics.h"
#include "proxy/observe/stats.h"
#include "proxy/rbac/metadata_match.h"

// The authorization filter (Envoy's envoy.filters.http.ext_authz): each request waits until a service of the user's
// own, asked over HTTP or gRPC, says whether it may pass. A refusal goes to the client as the service words it; without
// a verdict the request is refused too, unless the configuration lets it pass. Shared by all workers; its filters
// belong to one exchange each.

namespace weft::filter {

inline constexpr std::string_view kAuthzMetadata = "envoy.filters.http.ext_authz";

// Prefix "http.STAT_PREFIX.ext_authz.", and what the configuration adds.
#define WEFT_AUTHZ_METRICS(X)      \
  X(Counter, ok)                   \
  X(Counter, denied)               \
  X(Counter, error)                \
  X(Counter, disabled)             \
  X(Counter, failure_mode_allowed) \
  X(Counter, invalid)              \
  X(Counter, ignored_dynamic_metadata)
WEFT_STATS(AuthzStats, WEFT_AUTHZ_METRICS)

struct AuthzConfig {
  std::string name;  // As configured.
  AuthzService service;
  AuthzFacts facts;

  // Which requests are asked about: a share of them, whose metadata is so.
  uint32_t numerator = 0, denominator = 0;  // denominator 0: all.
  std::optional<rbac::MetadataMatch> only;
  bool refuse_others = false;

  bool pass_on_failure = false;
  bool tell_passed_on_failure = false;  // To the upstream, in a header.
  uint16_t status_on_failure = 403;
  bool refresh_route = false;              // When the answer changed the request,
  std::vector<std::string> route_headers;  // or of its headers one of these; lower case.
  std::optional<ChangeRules> rules;
  RequestLimits limits;
  bool take_metadata = true;
  uint32_t max_denied_body_bytes = 0;  // 0: any.
  bool count_at_cluster = true;        // Refusals, as if the upstream had answered so.
  std::shared_ptr<observe::Family<AuthzStats>> stats;
};

FilterFactoryPtr make_authz_filter(AuthzConfig config);

}  // namespace weft::filter
