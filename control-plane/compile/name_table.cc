#include "control-plane/compile/name_table.h"

#include <set>
#include <string>
#include <vector>

#include "control-plane/compile/capture_outbound.h"
#include "control-plane/compile/names.h"
#include "control-plane/registry/format.h"
#include "weft/v1/name_table.pb.h"

namespace weft::control::compile {

namespace {

// Callers of a headless service choose among them.
std::set<std::string> endpoint_addresses(const registry::Service& service, const registry::Endpoints& endpoints) {
  std::set<std::string> addresses;
  for (const registry::Endpoints::Port& port : endpoints.ports) {
    for (const registry::Endpoint& endpoint : port.endpoints) {
      if (takes_calls(endpoint, service) && registry::is_ip(endpoint.address)) addresses.insert(endpoint.address);
    }
  }
  return addresses;
}

}  // namespace

snapshot::ResourcePointer compile_names(const registry::Service& service, const registry::Endpoints* endpoints,
                                        const Audience& audience) {
  v1::NameTable names;
  names.set_name(full_name(service.name));
  names.set_external(service.name.external);
  for (std::string& host : hosts_for(service, audience)) names.add_hosts(std::move(host));
  if (service.headless) {
    if (endpoints == nullptr) return nullptr;
    for (const std::string& address : endpoint_addresses(service, *endpoints)) names.add_addresses(address);
  } else if (!service.addresses.empty()) {
    for (const std::string& address : service.addresses) names.add_addresses(address);
  } else if (!service.ports.empty()) {
    for (const std::string& address : service.assigned) {
      // Where nothing is taken by IPv6 a virtual address of it leads nowhere.
      if (audience.capture.ipv6 || !registry::is_ipv6(address)) names.add_addresses(address);
    }
  }
  if (names.addresses().empty()) return nullptr;
  return snapshot::make_resource(snapshot::Type::kName, names.name(), names);
}

}  // namespace weft::control::compile
