#pragma once

// What a node says of itself by its metadata, which is the contract between a sidecar and the control plane: read and
// checked. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "control-plane/compile/audience.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace weft::control::compile {

// How a proxy finds out whether its application is well.
struct HealthProbe {
  enum class Kind : uint8_t { kNone, kHttp, kTcp, kGrpc };
  Kind kind = Kind::kNone;
  // kHttp: the path. kGrpc: the service, "" is the server as a whole.
  std::string target;
  int64_t interval_ms = 5'000;

  bool operator==(const HealthProbe&) const = default;
};

// A proxy that stands before an application.
struct Inbound {
  // Where others reach it: an IP address without brackets. Empty only where it is intercepted and nobody's endpoint.
  std::string address;
  // Where its proxy listens; others reach it at app_port where it is intercepted, else here.
  uint16_t port = 0;
  // The application's: on 127.0.0.1, or where it is intercepted on `address`. 0 only there: it is nobody's endpoint.
  uint16_t app_port = 0;
  HealthProbe health;
  // What others send to any port of the workload arrives at `port`, by rules of the kernel that leave its destination
  // to be read.
  bool intercepted = false;
  // Those rules are TPROXY's: the socket needs IP_TRANSPARENT.
  bool transparent = false;
  // There are such rules for IPv6, too.
  bool ipv6 = false;
  // It has a certificate of the mesh (NodeClaims::mtls).
  bool mtls = false;
  // Where the proxy writes a line for each request; empty: nowhere.
  std::string access_log;
  // The workload's own.
  registry::ServiceName service;
  // As in Audience.
  bool is_weft = false;

  bool operator==(const Inbound&) const = default;
};

struct NodeClaims {
  std::string id;
  Audience audience;
  // Of the audience's namespace; empty if the node says none.
  std::string service;
  // As whom the workload runs: what it says, or else its service's name; empty if it says neither.
  std::string service_account;
  // What it is an instance of, as a Deployment's name; its service if it says nothing.
  std::string workload;
  // Only with a service.
  std::optional<Inbound> inbound;
  // It has the secrets "default", its own certificate, and "ROOTCA", or gets them, and speaks the mesh's mutual TLS.
  bool mtls = false;
  // What it declares to call; unset for everything. Sorted, each once. The audience's scope is what of it the Scope
  // that holds lets through: scope_of().
  std::optional<std::vector<registry::HostPattern>> scope;
};

// InvalidArgument with the field, what it is and what was expected.
//
// namespace ("default" if there is none), service, service_account, outbound_port (0 is none), outbound_tcp (a struct:
// port on loopback to "host:port" of a service, as {"15432": "db.shop:5432"}), inbound_address with inbound_port and
// app_port; health: a struct with one of `http` (a path), `tcp` (true) and `grpc` (a service), and `interval_ms`;
// scope: a list of "service", "namespace/service" and "namespace/*"; interception: a struct with outbound_port and
// inbound_port, and if they are not so mode ("REDIRECT", or "TPROXY") and ipv6 (true); mtls and dns: bools. Of gRPC's
// own clients only the namespace counts.
absl::StatusOr<NodeClaims> read_node(const envoy::config::core::v3::Node& node);

}  // namespace weft::control::compile
