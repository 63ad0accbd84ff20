#pragma once

// A service's port as a cluster, and its endpoints. Pure; any thread.

#include <string>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::compile {

// Whoever calls it finds its endpoints: by names that stand in the cluster, or by where each connection was going. It
// has no endpoints resource.
bool is_resolved_by_caller(const registry::Service& service);

// The zone whose endpoints go before all others for this audience; empty if there is none. `policy` may be null.
std::string first_zone(const registry::EffectivePolicy* policy, const Audience& audience);

// `policy` may be null.
snapshot::ResourcePointer compile_cluster(const registry::Service& service, const registry::ServicePort& port,
                                          const std::vector<registry::Endpoint>& endpoints,
                                          const registry::EffectivePolicy* policy, const Audience& audience);
// Of one endpoint alone, whose name is endpoint_name(); it has no endpoints resource.
snapshot::ResourcePointer compile_endpoint_cluster(const registry::Service& service, const registry::ServicePort& port,
                                                   const registry::Endpoint& endpoint,
                                                   const registry::EffectivePolicy* policy, const Audience& audience);
// Endpoints that are not ready are left out, unless the service publishes them. `policy` may be null.
snapshot::ResourcePointer compile_endpoints(const registry::Service& service, uint16_t port,
                                            const std::vector<registry::Endpoint>& endpoints,
                                            const registry::EffectivePolicy* policy, const Audience& audience);

// kNowhere, and its endpoints.
snapshot::ResourcePointer compile_nowhere_cluster();
snapshot::ResourcePointer compile_nowhere_endpoints();

}  // namespace weft::control::compile
