#pragma once

#include <string>
#include <string_view>

#include "proxy/config/compile/compile.h"

// Bootstraps for the tests of the compiler.

namespace weft::config {

inline constexpr std::string_view kBackend = R"(
  - name: backend
    type: STATIC
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 8080 } } }
)";

// One listener whose one virtual host has `routes`, and the clusters `backend` and `more`, each as YAML list items.
inline std::string bootstrap_of(std::string_view routes, std::string_view more = {}) {
  std::string text = R"(
static_resources:
  listeners:
  - name: main
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:)";
  text += routes;
  text += "\n  clusters:";
  text += kBackend;
  text += more;
  return text;
}

inline constexpr std::string_view kTcpFilter = R"([ { name: tcp, typed_config: {
      "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy,
      stat_prefix: t, cluster: backend } } ])";

// One listener with the fields `listener`, YAML lines in which FILTERS stands for a TCP proxy to `backend`, and
// clusters as above.
inline std::string bootstrap_with(std::string listener, std::string_view more = {}) {
  for (size_t at; (at = listener.find("FILTERS")) != std::string::npos;) listener.replace(at, 7, kTcpFilter);
  std::string text =
      "static_resources:\n  listeners:\n  - address: { socket_address: { address: 127.0.0.1, port_value: 80 } }\n";
  return text + listener + "\n  clusters:" + std::string(kBackend) + std::string(more);
}

inline absl::StatusOr<CompiledBootstrap> compile(const std::string& text, CompileOptions options = {}) {
  options.open_files = false;
  return compile_bootstrap(text, "test.yaml", options);
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace weft::config
