#pragma once

#include <google/protobuf/map.h>

#include <memory>
#include <string_view>

#include "proxy/config/compile/context.h"
#include "proxy/config/compile/routes.h"
#include "proxy/route/cors_policy.h"

// CORS policies: the field `cors` of virtual hosts and routes, and the per-filter configuration that takes its place.

namespace weft::config {

std::shared_ptr<const route::CorsPolicy> compile_cors(Context& context, const route_v3::CorsPolicy& policy,
                                                      std::string_view path);

// The CORS policy among the per-filter configurations of the message at `path`, or nullptr. An error for any other.
std::shared_ptr<const route::CorsPolicy> compile_per_filter_config(
    Context& context, const google::protobuf::Map<std::string, google::protobuf::Any>& configs, std::string_view path);

}  // namespace weft::config
