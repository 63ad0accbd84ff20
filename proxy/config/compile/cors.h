#pragma once

#include <memory>
#include <string_view>

#include "envoy/extensions/filters/http/cors/v3/cors.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/config/compile/routes.h"
#include "proxy/route/cors_policy.h"

// CORS policies: the field `cors` of virtual hosts and routes, and the per-filter configuration that takes its place.

namespace weft::config {

namespace cors_v3 = envoy::extensions::filters::http::cors::v3;

std::shared_ptr<const route::CorsPolicy> compile_cors(Context& context, const route_v3::CorsPolicy& policy,
                                                      std::string_view path);
std::shared_ptr<const route::CorsPolicy> compile_cors(Context& context, const cors_v3::CorsPolicy& policy,
                                                      std::string_view path);

}  // namespace weft::config
