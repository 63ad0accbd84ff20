#pragma once

// Listeners, and the route configurations that they name. Pure; any thread.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/compile/cache.h"
#include "control-plane/compile/reach.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace envoy::config::route::v3 {
class VirtualHost;
}  // namespace envoy::config::route::v3

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::control::compile {

// For gRPC's clients: one listener for each name of the service's port, "cart:80" … "cart.shop.svc.cluster.local:80",
// and the route that all of them name.
std::vector<snapshot::ResourcePointer> compile_client_listeners(const registry::Model& model,
                                                                const registry::Service& service, uint16_t port,
                                                                const Audience& audience);

// For a proxy: the listener on its outbound port, and the route by host to every HTTP port of every service that it
// reaches; TLS goes by its server name (stream.h).
std::vector<snapshot::ResourcePointer> compile_outbound_listener(const Reach& reach, Cache& cache);

// A route configuration by host to a port of these services; of two with one host the first has it. `rest` takes what
// names none of them.
snapshot::ResourcePointer compile_host_route(const std::string& name, const registry::Model& model,
                                             const Services& services, uint16_t port, const Audience& audience,
                                             const envoy::config::route::v3::VirtualHost& rest);

// Whether the audience's namespace has routes of its own to a service, in place of the service's.
bool has_consumer_routes(const registry::Model& model, const registry::ServiceName& name, const Audience& audience);

// Whether calls of a port can be routed by host.
bool is_http(registry::AppProtocol protocol);

// Takes its routes from the stream on which it came.
envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager connection_manager(
    const std::string& route_name);

// In front of the last filter, the router, which must be there.
void add_http_filter(const char* name, const google::protobuf::Message& config,
                     envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager* manager);

}  // namespace weft::control::compile
