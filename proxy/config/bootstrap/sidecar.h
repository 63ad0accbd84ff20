#pragma once

#include <cstdint>
#include <string>
#include <vector>

// The bootstrap of a sidecar that gets everything else from the mesh's control plane: what `weft-proxy sidecar` runs,
// and what a person would otherwise write by hand. Pure; any thread.

namespace weft::config {

struct HostPort {
  std::string host;  // A name, or an IP address without brackets.
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// "control.mesh:15010", "127.0.0.1:80", "[::1]:80". False for anything else; port 0 is taken.
bool parse_host_port(const std::string& text, HostPort* result);

// How the sidecar finds out whether its application is well.
struct HealthProbe {
  enum class Kind : uint8_t { kNone, kHttp, kTcp, kGrpc };
  Kind kind = Kind::kNone;
  std::string target;  // kHttp: the path. kGrpc: the service; "" is the server as a whole.
  int64_t interval_ms = 5'000;
};

// How the control plane is known for the one that is meant, and by what the sidecar is let in.
struct ControlAccess {
  bool insecure = false;  // Neither; for a control plane on this machine.
  std::string token;      // A join token, which api/token can read.
  std::string ca_file;    // In place of the token's fingerprint: who signed the control plane's certificate.
};

struct SidecarOptions {
  std::vector<HostPort> control_planes;  // At least one; the next one is tried when one does not answer.
  std::string namespace_name = "default";
  std::string service;          // Empty: the workload only calls others.
  std::string service_account;  // By which the workload is known; empty: its service's name.
  std::string workload;         // What it is an instance of; empty: the service.
  uint16_t app_port = 0;
  std::string inbound_address;  // An IP address; where others reach this workload.
  uint16_t inbound_port = 15006;
  uint16_t outbound_port = 15001;  // On loopback; 0: none.
  // Rules of the kernel bring the application's connections to outbound_port, and others' to inbound_port.
  struct Interception {
    bool on = false;
    bool tproxy = false;  // Of inbound ones; else by REDIRECT, as outbound ones.
    bool ipv6 = true;     // This host has IPv6.
    bool dns = false;     // And the application's questions of DNS, which the proxy answers.
  } interception;
  std::vector<std::string> scope;  // "service" or "namespace/service"; empty: all that it may see.
  HealthProbe health;
  std::string access_log;  // A file, for requests that others make of the application; empty: none.
  ControlAccess access;
  HostPort admin{"127.0.0.1", 15000};
  std::string node_id;
};

// It is known by whom it runs as, and so has a certificate made out to that.
bool has_identity(const SidecarOptions& options);

// An Envoy v3 bootstrap as YAML: clusters and listeners by one aggregated delta stream from the control planes, and the
// node's metadata as control-plane/README.md lists them. `for_people`: without the join token.
std::string sidecar_bootstrap(const SidecarOptions& options, bool for_people = false);

}  // namespace weft::config
