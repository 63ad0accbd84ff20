#pragma once

// Gateway API's filters as fields of a route. Pure; any thread.

#include <string>

#include "envoy/config/route/v3/route_components.pb.h"
#include "gateway/v1/grpc_route.pb.h"
#include "gateway/v1/http_route.pb.h"

namespace weft::control::compile {

// Changes of headers, the request's and the answer's.
void apply_header_filter(const gateway::v1::HTTPHeaderFilter& request, const gateway::v1::HTTPHeaderFilter& response,
                         envoy::config::route::v3::Route& out);
void apply_header_filter(const gateway::v1::HTTPHeaderFilter& request, const gateway::v1::HTTPHeaderFilter& response,
                         envoy::config::route::v3::WeightedCluster::ClusterWeight& out);

// `Filter` is HTTPRouteFilter or GRPCRouteFilter. Other filters are left alone.
template <typename Filter, typename Out>
void apply_header_filter(const Filter& filter, Out& out) {
  apply_header_filter(filter.request_header_modifier(), filter.response_header_modifier(), out);
}

// True if the rule redirects; the route then goes nowhere else.
bool apply_redirect(const gateway::v1::HTTPRouteRule& rule, const gateway::v1::HTTPRouteMatch& match,
                    envoy::config::route::v3::Route& out);
bool apply_redirect(const gateway::v1::GRPCRouteRule& rule, const gateway::v1::GRPCRouteMatch& match,
                    envoy::config::route::v3::Route& out);

// Host and path of what is sent on. For a route that forwards.
void apply_rewrite(const gateway::v1::HTTPRouteRule& rule, const gateway::v1::HTTPRouteMatch& match,
                   envoy::config::route::v3::RouteAction& out);
void apply_rewrite(const gateway::v1::GRPCRouteRule& rule, const gateway::v1::GRPCRouteMatch& match,
                   envoy::config::route::v3::RouteAction& out);

void add_mirror(const gateway::v1::HTTPRequestMirrorFilter& mirror, const std::string& cluster,
                envoy::config::route::v3::RouteAction& out);

}  // namespace weft::control::compile
