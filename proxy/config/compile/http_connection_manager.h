#pragma once

#include <memory>
#include <string_view>

#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/config/compile/context.h"

// The HTTP connection manager of a filter chain: its options, routes, filters and access logs.

namespace weft::config {

std::shared_ptr<const snapshot::HttpConnectionManager> compile_http_connection_manager(
    Context& context,
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
    std::string_view path);

}  // namespace weft::config
