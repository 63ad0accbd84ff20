#pragma once

#include <string>
#include <string_view>

#include "envoy/extensions/filters/http/ext_authz/v3/ext_authz.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/filter/filter.h"

// The authorization filter: the service that is asked, what it is told, and what it may change.

namespace weft::config {

namespace ext_authz_v3 = envoy::extensions::filters::http::ext_authz::v3;

// `manager` is the connection manager in which it stands. Never nullptr.
filter::FilterFactoryPtr compile_ext_authz(
    Context& context, const ext_authz_v3::ExtAuthz& proto, const std::string& name,
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
    std::string_view path);

}  // namespace weft::config
