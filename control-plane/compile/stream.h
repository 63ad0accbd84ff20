#pragma once

// Connections that are not HTTP: where they go, by the port of loopback on which an application makes them, or by the
// server name that TLS asks for. Pure; any thread.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/compile/reach.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft::control::compile {

// Of a port of outbound_tcp.
std::string tcp_listener_name(uint16_t port);

// A listener for each of the audience's outbound_tcp whose service there is: to where the port's TLSRoutes say by
// server name, or its oldest TCPRoute says, or else to the service itself.
std::vector<snapshot::ResourcePointer> compile_tcp_listeners(const Reach& reach);

// Adds the chains of a service's port that is not HTTP, or may be something else: to where its TLSRoutes say by server
// name, or its oldest TCPRoute says, or else to the service itself. Adds to `clusters` all that they name.
void add_port_chains(const registry::Model& model, const registry::Service& service, uint16_t port,
                     const Audience& audience, envoy::config::listener::v3::Listener& listener,
                     std::set<std::string>& clusters);

// The same for a port on which several services are told apart by server name alone: those of its TLSRoutes, or else
// the service's own hosts, which no chain has yet (`taken`).
void add_named_chains(const registry::Model& model, const registry::Service& service, uint16_t port,
                      const Audience& audience, std::set<std::string>& taken,
                      envoy::config::listener::v3::Listener& listener, std::set<std::string>& clusters);

// Reads the server name of what is TLS.
void inspect_tls(envoy::config::listener::v3::Listener& listener);

// Adds to a proxy's outbound listener a filter chain for every server name by which TLS ports of these services are
// reached: the hostnames of their TLSRoutes, and else the hosts of their services. Adds to `clusters` all that they
// name. Chains that are there already are then only for what is not TLS.
void add_tls_chains(const registry::Model& model, const std::vector<std::shared_ptr<const registry::Service>>& services,
                    const Audience& audience, envoy::config::listener::v3::Listener& listener,
                    std::set<std::string>& clusters);

}  // namespace weft::control::compile
