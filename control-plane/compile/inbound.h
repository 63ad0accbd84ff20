#pragma once

// What a proxy runs for those who call its application: one listener, its route and one cluster, which are this node's
// alone and therefore small. Pure; any thread.

#include <string>
#include <vector>

#include "control-plane/compile/mtls.h"
#include "control-plane/compile/node.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::compile {

// What the application on `app_port` speaks, as its service says; kDetect for a service that is not there.
registry::AppProtocol inbound_protocol(const registry::Model& model, const registry::ServiceName& service,
                                       uint16_t app_port);

std::vector<snapshot::ResourcePointer> compile_inbound(const Inbound& inbound, registry::AppProtocol protocol,
                                                       const InboundMtls& mtls);

}  // namespace weft::control::compile
