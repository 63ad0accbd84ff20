#pragma once

// What a proxy runs for those who call its application: one listener, and a route and a cluster for each port on which
// it is called. They are this node's alone and therefore small. Pure; any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "control-plane/compile/mtls.h"
#include "control-plane/compile/node.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace weft::control::compile {

// A port of the application that others may call.
struct InboundPort {
  // Of its cluster, of its filter chains and, if it may be HTTP, of its route: "inbound" for the node's app_port, which
  // is the one whose health is checked, "inbound:9090" for another.
  std::string name;
  uint16_t app_port = 0;
  // As its service says; kDetect for a service that is not there.
  registry::AppProtocol protocol = registry::AppProtocol::kDetect;
  registry::MtlsMode mtls = registry::MtlsMode::kPermissive;
  // Those of its service behind which it stands.
  std::vector<uint16_t> service_ports = {};
};

// app_port and, where others reach the application by any port, those to which its service's ports lead.
std::vector<InboundPort> inbound_ports(const registry::Model& model, const registry::ServiceName& service,
                                       const Inbound& inbound);

// `ports`: inbound_ports(), with the mode of each. `rest`: of ports that are not among them.
// `rules` are those that hold for the workload.
std::vector<snapshot::ResourcePointer> compile_inbound(const Inbound& inbound, const std::vector<InboundPort>& ports,
                                                       const InboundMtls& rest, const registry::CallerRules& rules);

}  // namespace weft::control::compile
