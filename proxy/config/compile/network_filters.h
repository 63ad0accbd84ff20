#pragma once

#include <memory>
#include <string_view>

#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "proxy/config/compile/context.h"

// The last filter of a filter chain: HTTP or TCP. Never nullptr.

namespace weft::config {

namespace hcm_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
namespace tcp_v3 = envoy::extensions::filters::network::tcp_proxy::v3;

std::shared_ptr<snapshot::HttpConnectionManager> compile_http_connection_manager(
    Context& context, const hcm_v3::HttpConnectionManager& proto, std::string_view path);

std::shared_ptr<snapshot::TcpProxy> compile_tcp_proxy(Context& context, const tcp_v3::TcpProxy& proto,
                                                      std::string_view path);

}  // namespace weft::config
