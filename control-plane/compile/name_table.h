#pragma once

// What proxies that answer questions of DNS know of a service: its hosts, and the addresses by which connections to it
// are known for what they are (capture_outbound.h). Pure; any thread.

#include "control-plane/compile/audience.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::compile {

// A weft.v1.NameTable. Null if there is nothing to answer: a headless service without endpoints, and one without
// addresses of its own that has no TCP port, which no proxy takes calls for. `endpoints` may be null.
snapshot::ResourcePointer compile_names(const registry::Service& service, const registry::Endpoints* endpoints,
                                        const Audience& audience);

}  // namespace weft::control::compile
