#pragma once

// What resources are called. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"

namespace weft::control::compile {

// "shop/cart", "external/shop/web": its names.
std::string full_name(const registry::ServiceName& service);
// "shop/cart:80": the cluster of a service's port, its endpoints and its route.
std::string port_name(const registry::ServiceName& service, uint16_t port);

// Takes what leads nowhere; it has no endpoints.
inline constexpr std::string_view kNowhere = "weft/nowhere";
// Connects to where the caller's connection was going.
inline constexpr std::string_view kPassthrough = "weft/passthrough";
// The listener of a proxy's outbound port, and its route.
inline constexpr std::string_view kOutbound = "outbound";
// With ":" and the port behind it: the listener of a port of outbound_tcp.
inline constexpr std::string_view kOutboundTcp = "outbound_tcp";
// The listener to which rules of the kernel bring all that an application calls.
inline constexpr std::string_view kCaptured = "captured";
// "captured/shop/cart:80": that of what is named so.
std::string captured_name(std::string_view of);
// "captured/any:80": that of services which are known by host alone, on a port, and its route.
std::string captured_port_name(uint16_t port);
// "shop/db:5432@10.0.0.1:5432": the cluster of one endpoint.
std::string endpoint_name(const registry::ServiceName& service, uint16_t port, const registry::Endpoint& endpoint);
// The listener for those who call a proxy's application, its route and its cluster.
inline constexpr std::string_view kInbound = "inbound";
// Take what others send to ports of the workload that no service has, where that is intercepted.
inline constexpr std::string_view kInboundAny = "inbound/any";
inline constexpr std::string_view kInboundAnyIpv6 = "inbound/any6";

// "HTTPRoute/shop/canary/0": the routes, filter chains and access log lines of a rule, by its number.
std::string route_name(const source::Key& route, size_t rule);
// "Service/shop/cart:80": the same for a port without a route of its own.
std::string straight_route_name(const registry::ServiceName& service, uint16_t port);

// The service's hosts that a caller of this audience may use: a name alone is for its own namespace.
std::vector<std::string> hosts_for(const registry::Service& service, const Audience& audience);

}  // namespace weft::control::compile
