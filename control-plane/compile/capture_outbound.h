#pragma once

// The calls of an application whose connections are all brought to its proxy, by where each was going:
//
// - a service's virtual address and port have a listener of their own, which nothing connects to: the one that takes
//   all connections hands those to it. So what one service changes is small, and the same for all proxies;
// - so has every endpoint of a headless service, whose callers choose among them;
// - a service beyond the mesh is known by its virtual address, too, and else by the host or the server name that the
//   call names, on the ports of such services;
// - everything else is unknown, and passes as it is, or is refused.
//
// Pure but for the cache; the thread that compiles.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/compile/audience.h"
#include "control-plane/compile/cache.h"
#include "control-plane/compile/reach.h"
#include "control-plane/registry/model.h"

namespace weft::control::compile {

// Whether a caller who chooses among a service's endpoints may choose this one.
bool takes_calls(const registry::Endpoint& endpoint, const registry::Service& service);

// Of one service that the audience reaches: listeners, the routes that they name, and clusters of single endpoints.
Resources captured_service(const registry::Model& model, const registry::Service& service, const Audience& audience);
// The same, compiled once for all who see the same.
Resources captured_service(const registry::Model& model, const registry::Service& service, const Audience& audience,
                           Cache& cache);

// The listener that takes all connections, and where those to unknown destinations go.
Resources captured_rest(const Audience& audience);

// Whether calls may reach the service by a host's name alone.
bool is_known_by_host(const registry::Service& service);
// For the ports of all services that are: a listener each, and its route.
Resources captured_hosts(const Reach& reach);

}  // namespace weft::control::compile
