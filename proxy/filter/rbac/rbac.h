#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/filter/filter.h"
#include "proxy/rbac/guard.h"

// The RBAC filter (Envoy's envoy.filters.http.rbac): a request that its rules do not allow is answered 403. What the
// rules and those on trial said is in the metadata, under kRbacMetadata. A route may have rules of its own, or none.
// Shared by all workers; its filters belong to one exchange each.

namespace weft::filter {

inline constexpr std::string_view kRbacMetadata = "envoy.filters.http.rbac";
// A LOG rule's answer, for access logs with a metadata filter: under "envoy.common".
inline constexpr std::string_view kAccessLogHint = "access_log_hint";

struct RbacConfig {
  std::string name;  // As configured.
  rbac::Guard guard;
  rbac::GuardStats stats;
  std::string rules_prefix;  // Of the metadata's keys.
  std::string shadow_prefix;
};

// In place of the filter's own rules.
struct RbacOverride final : route::FilterOverride {
  rbac::Guard guard;
};

FilterFactoryPtr make_rbac_filter(RbacConfig config);

}  // namespace weft::filter
