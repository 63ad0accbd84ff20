#pragma once

// What listens behind rules of the kernel that bring all of a workload's connections to its proxy, and leave to it to
// read where each was going. Pure; any thread.

#include <cstdint>
#include <vector>

#include "control-plane/compile/node.h"
#include "control-plane/registry/model.h"
#include "control-plane/snapshot/resource.h"

namespace envoy::config::core::v3 {
class BindConfig;
}  // namespace envoy::config::core::v3

namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft::control::compile {

// The ports of the workload on which first bytes must be looked at; on others nobody is waited for, as where the server
// speaks first.
struct Inspected {
  std::vector<uint16_t> for_tls;
  std::vector<uint16_t> for_http;
};

// Makes `listener`, whose chains match by destination_port, one on all of the workload's addresses that goes by the
// original destination. What is sent to ports that no chain names passes as it is, to where it was sent; what is sent
// to the proxy's own port is closed, and with `refuses_rest` so is what is sent to ports that no chain names.
// `authorizations` hold for these, too.
void capture_inbound(const Inbound& inbound, const Inspected& inspected, bool refuses_rest,
                     const registry::Authorizations& authorizations, envoy::config::listener::v3::Listener& listener);
// The clusters that it names beside the ports' own.
std::vector<snapshot::ResourcePointer> capture_clusters(const Inbound& inbound);

// From which address the proxy calls its own application: the kernel's rules know by it what they must not take again,
// and take a call of the proxy to its own workload that comes from any other.
void set_inbound_source(bool ipv6, envoy::config::core::v3::BindConfig& bind);

}  // namespace weft::control::compile
