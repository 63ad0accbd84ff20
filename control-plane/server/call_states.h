#pragma once

// How a service's workloads are called by members of the mesh, by mutual TLS or in the clear, for each port of the
// application. Values.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "control-plane/registry/model.h"

namespace weft::control::server {

// Ports of an application, or all of them but some.
struct Ports {
  // Whether those are in it that are not in `others`; of these the opposite is true.
  bool rest = false;
  std::set<uint16_t> others;

  bool operator==(const Ports&) const = default;

  bool contains(uint16_t port) const { return others.contains(port) != rest; }
  bool empty() const { return !rest && others.empty(); }
};
// Those that are in one of the two and not in the other.
Ports difference(const Ports& a, const Ports& b);
// Those that are in one of the two or in both.
Ports either(const Ports& a, const Ports& b);

// What is known of all callers. As it is initially, all call by mutual TLS.
struct CallState {
  // Where they call in the clear.
  Ports plain;
  // Where some may already do the opposite, since a change goes on.
  Ports mixed;

  bool operator==(const CallState&) const = default;
};
// Those that are not as initially.
using CallStates = std::map<registry::ServiceName, CallState>;
struct CallChange {
  registry::ServiceName service;
  CallState state;

  bool operator==(const CallChange&) const = default;
};

// Where callers are to call in the clear: where the mode is DISABLE.
Ports plain_ports(const registry::Model& model, const registry::ServiceName& service);
// The endpoints, called so.
std::shared_ptr<const registry::Endpoints> called_as(const Ports& plain, const registry::Endpoints& endpoints);

}  // namespace weft::control::server
