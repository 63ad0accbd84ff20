#pragma once

// TLS between members of the mesh: both sides show certificates of the mesh's authority, and each verifies that the
// other is whom it means. Pure; any thread.

#include <string>
#include <vector>

#include "control-plane/registry/model.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}  // namespace envoy::config::cluster::v3
namespace envoy::config::endpoint::v3 {
class LbEndpoint;
}  // namespace envoy::config::endpoint::v3
namespace envoy::config::listener::v3 {
class FilterChain;
class Listener;
}  // namespace envoy::config::listener::v3
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::control::compile {

// What a member of the mesh offers by ALPN, so that a port that takes other TLS too can tell: in front of "h2" or
// "http/1.1", or alone for connections that are not HTTP.
inline constexpr char kMeshHttp[] = "weft";
inline constexpr char kMeshTcp[] = "weft-tcp";

// "spiffe://cluster.local/ns/shop/sa/cart"
std::string spiffe_id(const std::string& trust_domain, const std::string& namespace_name, const std::string& account);

// Endpoints that take it are called by mutual TLS, and must show that they are of the service; the others as before.
// Nothing for a service that is not of the mesh.
void add_mesh_transport(const registry::Service& service, registry::AppProtocol protocol,
                        const std::string& trust_domain, envoy::config::cluster::v3::Cluster& cluster);
void mark_mesh_endpoint(envoy::config::endpoint::v3::LbEndpoint& endpoint);

struct InboundMtls {
  registry::MtlsMode mode = registry::MtlsMode::kPermissive;
  std::string trust_domain;
};
// The chains that take one port's connections as the application speaks, now so that they take mutual TLS, too, and if
// the mode is STRICT nothing else. Of two the first is for HTTP and the second for the rest. They go by what
// tls_inspector finds.
std::vector<envoy::config::listener::v3::FilterChain> mtls_chains(
    const InboundMtls& mtls, const std::vector<envoy::config::listener::v3::FilterChain>& plain);
// The same for a listener of one port, with the inspector.
void ask_for_mtls(const InboundMtls& mtls, registry::AppProtocol protocol,
                  envoy::config::listener::v3::Listener& listener);
// The application learns by x-forwarded-client-cert who calls, and by nobody else.
void tell_caller(envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager);

}  // namespace weft::control::compile
