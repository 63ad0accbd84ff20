#pragma once

// How a connection manager writes paths before it routes by them. Pure; any thread.

#include "proxy/stream/canonical_path.h"

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::config {

stream::PathRules compile_path_rules(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& proto);

}  // namespace weft::config
