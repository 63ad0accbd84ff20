#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Who is at the ends of a hop, as far as it is known: by the configuration for workloads and services, by the TLS
// handshake for principals. Immutable values, each with a hash of its own, so that a request is counted by numbers and
// no text is compared. Any thread.

namespace weft::observe {

// What a workload is: the proxy's own, or an endpoint as its metadata has it. Empty parts are not told: an endpoint's
// are its service's then.
struct WorkloadIdentity {
  std::string workload;
  std::string namespace_name;
  std::string service;
  std::string service_account;
  uint64_t hash = 0;

  static WorkloadIdentity make(std::string workload, std::string namespace_name, std::string service,
                               std::string service_account);
};

// The service that is called, as its cluster's metadata has it.
struct ServiceIdentity {
  std::string host;  // "cart.shop.svc.cluster.local"
  std::string name;
  std::string namespace_name;
  bool external = false;  // Not of the mesh: nothing is said to it of who calls.
  uint64_t hash = 0;

  static ServiceIdentity make(std::string host, std::string name, std::string namespace_name, bool external);
};

// The two ends of a TLS connection, as their certificates name them: SPIFFE IDs, or empty.
struct ConnectionPrincipals {
  std::string local;
  std::string peer;
  bool mutual = false;  // Both ends showed a certificate, and the peer's was verified.
  uint64_t hash = 0;

  static ConnectionPrincipals make(std::string local, std::string peer, bool mutual);
};

// "spiffe://cluster.local/ns/shop/sa/cart". Empty parts for any other form.
struct SpiffeParts {
  std::string_view namespace_name;
  std::string_view service_account;
};
SpiffeParts spiffe_parts(std::string_view id);

// How a caller's proxy says its names where its service account does not: "WORKLOAD/SERVICE", two DNS names. Only
// believed of a peer whose certificate was verified, and never passed on to an application.
inline constexpr std::string_view kPeerHeader = "x-weft-peer";
struct PeerNames {
  std::string_view workload;
  std::string_view service;
};
// Empty parts for what is no such text.
PeerNames parse_peer_names(std::string_view text);

}  // namespace weft::observe
