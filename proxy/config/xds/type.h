#pragma once

#include <optional>
#include <string_view>

#include "proxy/config/xds/subscription.h"

// What the protocol says of each type of resource: names on the wire, the services that serve it by itself. Constants.

namespace weft::config::xds {

struct TypeInfo {
  std::string_view url;
  std::string_view noun;        // "cluster"
  std::string_view sotw_path;   // Of its own service, when it is not aggregated; empty if it always is.
  std::string_view delta_path;  //
  bool whole;                   // SotW answers hold all that there is; no names mean all (xDS protocol, "wildcard").
};
const TypeInfo& type_info(Type type);
// Empty: no type of ours.
std::optional<Type> type_of(std::string_view url);

// envoy.service.discovery.v3.AggregatedDiscoveryService
inline constexpr std::string_view kAggregatedSotwPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
inline constexpr std::string_view kAggregatedDeltaPath =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

}  // namespace weft::config::xds
