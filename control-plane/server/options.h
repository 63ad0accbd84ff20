#pragma once

// weft-control's command line. Main thread.

#include <string>

#include "control-plane/ca/authority.h"
#include "control-plane/server/mesh.h"

namespace weft::control::server {

// Kubernetes service accounts: whose tokens are taken.
struct KubernetesOptions {
  // A file or URL of the issuer's keys; empty: none is taken.
  std::string jwks;
  // For a URL: PEM of the roots of its server (the system's if empty), and a file of a token to show there.
  std::string jwks_root;
  std::string jwks_token;
  std::string issuer;
  std::string audience = "weft";
};

struct Options {
  // Made if it is missing; for its owner only.
  std::string data_dir;
  // A folder of YAML and JSON that is watched; empty for none.
  std::string config_dir;
  // Where weftctl calls; DATA_DIR/control.sock if not given.
  std::string control_socket;
  // Where nodes connect: "host:port".
  std::string xds_address = "127.0.0.1:15010";
  // Without TLS and tokens; only on loopback.
  bool xds_insecure = false;
  // Both or none: without them a certificate is made and kept in the data folder.
  std::string tls_certificate;
  std::string tls_key;
  // Of the workloads' SPIFFE IDs.
  std::string trust_domain = "cluster.local";
  // How long their certificates live.
  int64_t certificate_ttl_ms = ca::Authority::kDefaultTtlMs;
  // What signs them, PEM; by default it is made and kept in the data folder.
  std::string ca_certificate;
  std::string ca_key;
  std::string ca_root;
  KubernetesOptions kubernetes;
  // Where Kubernetes' API server asks about pods, by HTTPS: "host:port"; empty for nowhere.
  std::string webhook_address;
  // Both or none: without them the certificate is the one shown to proxies.
  std::string webhook_certificate;
  std::string webhook_key;
  // What holds for all sidecars (weft.v1.InjectConfig); empty: nothing is set.
  std::string inject_config;
  // Where /healthz, /metrics and /nodes are: "host:port" of loopback.
  std::string admin_address = "127.0.0.1:15014";
  Mesh::Limits limits;
  // How long a workload whose stream ended without a word stays an endpoint.
  int64_t workload_grace_ms = 10'000;
};

// Whether "127.0.0.1:80", "[::1]:80" or "localhost:80" stays on this machine.
bool is_loopback(const std::string& address);

// Parses. `exit_code` ≥ 0: there is nothing to run (--help, --version, a wrong option; the text has been printed).
Options parse_options(int argc, char** argv, int* exit_code);

// "0.1.0".
std::string version();

}  // namespace weft::control::server
