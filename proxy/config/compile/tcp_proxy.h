#pragma once

#include <memory>
#include <string_view>

#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "proxy/config/compile/context.h"

// The TCP proxy of a filter chain.

namespace weft::config {

std::shared_ptr<const snapshot::TcpProxy> compile_tcp_proxy(
    Context& context, const envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy& proxy, std::string_view path);

}  // namespace weft::config
