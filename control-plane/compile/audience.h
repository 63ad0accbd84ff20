#pragma once

// For whom resources are compiled: all nodes of one audience run the same. A value.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control-plane/registry/visibility.h"

namespace weft::control::compile {

// A port of a service as a caller names it: by one of the service's hosts.
struct TcpTarget {
  std::string host;
  uint16_t port = 0;

  auto operator<=>(const TcpTarget&) const = default;
};

// Where all connections that an application makes arrive, whoever they are meant for: by rules of the kernel that leave
// their destination to be read.
struct Capture {
  // On loopback; 0: nowhere, nothing is intercepted.
  uint16_t port = 0;
  // On ::1, too.
  bool ipv6 = true;
  // Connections to where no service is known to be are closed; else they pass as they are.
  bool refuses_unknown = false;

  auto operator<=>(const Capture&) const = default;
};

struct Audience {
  // Short names of services are of this namespace, and so are the consumer routes that hold.
  std::string namespace_name;
  // The services that it means to call; unset for all that it may see. Sorted, each once. A gRPC client has none: it
  // gets what it asks for.
  std::optional<std::vector<registry::HostPattern>> scope;
  // Of the node's locality; its endpoints come first where a policy says so. Empty if it says none.
  std::string zone;
  // Of a proxy that has a certificate of the mesh: the domain of its own SPIFFE ID and of those that it verifies. Empty
  // for others, who speak no mutual TLS.
  std::string trust_domain;
  // gRPC's own xDS client: a listener for each name that it may ask for, and only what it understands. Otherwise a
  // proxy.
  bool is_grpc_client = false;
  // weft-proxy, which knows our own filters.
  bool is_weft = false;
  // Where a proxy listens, on loopback, for its application's HTTP; 0 for none.
  uint16_t outbound_port = 0;
  // Where it listens, on loopback, for connections that are not HTTP, and to which service those go.
  std::map<uint16_t, TcpTarget> outbound_tcp;
  Capture capture;
  // Services that it asks whether calls of its own application may pass, and has whatever its scope says. Sorted, each
  // once.
  std::vector<registry::ServiceName> authorizers;
  // It answers its application's questions of DNS, and is told the names of services.
  bool resolves_names = false;

  auto operator<=>(const Audience&) const = default;
};

}  // namespace weft::control::compile
