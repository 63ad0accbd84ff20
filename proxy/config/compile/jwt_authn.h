#pragma once

#include <string>
#include <string_view>

#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/filter/filter.h"

// The JWT filter: providers, their keys, and which requests need which tokens.

namespace weft::config {

namespace jwt_v3 = envoy::extensions::filters::http::jwt_authn::v3;

// `stat_prefix` is the connection manager's. Never nullptr.
filter::FilterFactoryPtr compile_jwt_authn(Context& context, const jwt_v3::JwtAuthentication& proto,
                                           const std::string& name, const std::string& stat_prefix,
                                           std::string_view path);

}  // namespace weft::config
