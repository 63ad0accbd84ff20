#pragma once

// Gateway API's matches as the wire has them, and which of two goes first. Pure; any thread.

#include <compare>
#include <cstddef>

#include "control-plane/compile/audience.h"

namespace envoy::config::route::v3 {
class RouteMatch;
}  // namespace envoy::config::route::v3

namespace gateway::v1 {
class GRPCRouteMatch;
class HTTPRouteMatch;
}  // namespace gateway::v1

namespace weft::control::compile {

// Greater goes first: Gateway API, HTTPRouteRule.matches and GRPCRouteRule.matches. Between equals, the older route.
struct Precedence {
  bool is_exact = false;
  size_t path_length = 0;
  // Of gRPC, the method's.
  size_t method_length = 0;
  bool has_method = false;
  int headers = 0;
  int query_parameters = 0;

  auto operator<=>(const Precedence&) const = default;
};

Precedence compile_match(const gateway::v1::HTTPRouteMatch& match, const Audience& audience,
                         envoy::config::route::v3::RouteMatch& out);
Precedence compile_match(const gateway::v1::GRPCRouteMatch& match, const Audience& audience,
                         envoy::config::route::v3::RouteMatch& out);

}  // namespace weft::control::compile
