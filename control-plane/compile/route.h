#pragma once

// Routes of a service's port as the wire has them. Pure; any thread.

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"

namespace envoy::config::route::v3 {
class VirtualHost;
}  // namespace envoy::config::route::v3

namespace weft::control::compile {

// Adds to `host` the routes of calls to a port of a service, in order of precedence, and to `clusters` all that they
// name. Without any route of its own the port's calls go straight to it.
void compile_routes(const registry::Model& model, const registry::Service& service, uint16_t port,
                    const Audience& audience, envoy::config::route::v3::VirtualHost& host,
                    std::set<std::string>& clusters);

}  // namespace weft::control::compile
