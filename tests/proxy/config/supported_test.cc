#include "proxy/config/supported/supported.h"

#include <catch2/catch.hpp>

#include "api/text/parse.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "proxy/config/supported/tables.h"

namespace weft::config {
namespace {

std::vector<text::Unsupported> unsupported_in(std::string_view yaml) {
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  text::Source source;
  absl::Status status = text::parse(yaml, "test.yaml", &bootstrap, {}, &source);
  INFO(status.message());
  REQUIRE(status.ok());
  return text::find_unsupported(bootstrap, supported_fields(), &source.positions);
}

}  // namespace

TEST_CASE("every entry of the table of supported fields names something of the API") {
  std::vector<std::string_view> entries;
  for (auto table : {supported_process_fields(), supported_listener_fields(), supported_route_fields(),
                     supported_cluster_fields()}) {
    entries.insert(entries.end(), table.begin(), table.end());
  }
  absl::Status checked = text::SupportedFields::check(entries);
  INFO(checked.message());
  REQUIRE(checked.ok());
}

TEST_CASE("what is known but not supported is refused by its path and position") {
  auto found = unsupported_in(R"(static_resources:
  clusters:
  - name: a
    lb_policy: LOAD_BALANCING_POLICY_CONFIG
    load_assignment:
      cluster_name: a
)");
  REQUIRE(found.size() == 1);
  CHECK(found[0].path == "static_resources.clusters[0].lb_policy");
  CHECK(found[0].position.line == 4);
}

TEST_CASE("what every published configuration uses is supported") {
  auto found = unsupported_in(R"(admin:
  access_log_path: /dev/null
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0, protocol: TCP}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          codec_type: AUTO
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              cors: {allow_origin_string_match: [{prefix: "*"}], max_age: "17"}
              routes:
              - match: {prefix: /}
                route: {cluster: c, timeout: 0s, max_stream_duration: {grpc_timeout_header_max: 0s}}
          http_filters:
          - name: envoy.filters.http.cors
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: c
    type: LOGICAL_DNS
    dns_lookup_family: V4_ONLY
    lb_policy: ROUND_ROBIN
    http2_protocol_options: {}
    upstream_connection_options: {tcp_keepalive: {keepalive_time: 300}}
    load_assignment:
      cluster_name: c
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: example.test, port_value: 443}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: example.test
)");
  for (const auto& each : found) FAIL_CHECK(each.message);
}

}  // namespace weft::config
