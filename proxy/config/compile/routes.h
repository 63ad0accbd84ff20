#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/route/route_table.h"

// Route configurations into route tables, and the parts of them that others use too.

namespace weft::config {

namespace route_v3 = envoy::config::route::v3;

// nullptr, with an error, when it does not hold together. `validate_clusters`: where the configuration does not say
// whether clusters that it names must exist.
std::shared_ptr<const route::RouteTable> compile_routes(Context& context, const route_v3::RouteConfiguration& routes,
                                                        bool validate_clusters, std::string_view path);

route::RetryPolicy compile_retry_policy(Context& context, const route_v3::RetryPolicy& policy, std::string_view path);

std::vector<route::HashPolicy> compile_hash_policies(
    Context& context, const google::protobuf::RepeatedPtrField<route_v3::RouteAction::HashPolicy>& policies,
    std::string_view path);

// Copies of requests to other clusters.
std::vector<route::Mirror> compile_mirrors(
    Context& context, const google::protobuf::RepeatedPtrField<route_v3::RouteAction::RequestMirrorPolicy>& policies,
    bool validate_clusters, std::string_view path);

route::HeaderMatch compile_header_match(Context& context, const route_v3::HeaderMatcher& matcher,
                                        std::string_view path);

// The conditions of `match` into `entry`, and into its route what rewriting needs of them.
void compile_route_match(Context& context, const route_v3::RouteMatch& match, std::string_view path,
                         route::RouteEntry& entry);

// The header of an option, or of whatever else adds one, at `path`; its action is for the caller to set.
route::HeaderValue compile_header_value(Context& context, const core_v3::HeaderValue& header, std::string_view path);

// `field` names the fields: "request_headers" or "response_headers", of the message at `path`.
route::HeaderMutations compile_mutations(Context& context,
                                         const google::protobuf::RepeatedPtrField<core_v3::HeaderValueOption>& add,
                                         const google::protobuf::RepeatedPtrField<std::string>& remove,
                                         std::string_view path, std::string_view field);

}  // namespace weft::config
