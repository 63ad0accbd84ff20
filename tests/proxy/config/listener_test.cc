#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"
#include "tests/proxy/config/bootstraps.h"

// Listeners, their filter chains and their TLS, as compiled from a bootstrap.

namespace weft::config {
namespace {

std::shared_ptr<const snapshot::Listener> listener_of(const std::string& listener) {
  auto compiled = compile(bootstrap_with(listener));
  INFO(compiled.status().ToString());
  REQUIRE(compiled.ok());
  return compiled->snapshot->listeners[0];
}

std::string error_of(const std::string& listener, std::string_view more = {}) {
  auto compiled = compile(bootstrap_with(listener, more));
  REQUIRE_FALSE(compiled.ok());
  return std::string(compiled.status().message());
}

// The error for a chain whose match is `match`.
std::string match_error(std::string_view match) {
  return error_of("    filter_chains: [ { filter_chain_match: { " + std::string(match) + " }, filters: FILTERS } ]");
}

TEST_CASE("a listener without a name is called after its address, and has Envoy's defaults") {
  auto listener = listener_of("    filter_chains: [ { filters: FILTERS } ]");
  CHECK(listener->name == "127.0.0.1:80");
  CHECK(listener->stats->prefix() == "listener.127.0.0.1_80.");
  CHECK(listener->per_connection_buffer_limit_bytes == 1024 * 1024);
  CHECK(listener->listener_filters_timeout_ms == 15'000);
  CHECK(listener->reuse_port);
  CHECK_FALSE(listener->inspect_tls);
  REQUIRE(listener->filter_chains.size() == 1);
  CHECK(listener->filter_chains[0]->tcp != nullptr);
  CHECK(listener->filter_chains[0]->tls == nullptr);
  CHECK(listener->filter_chains[0]->transport_connect_timeout_ms == 15'000);
}

TEST_CASE("a listener's own fields are taken over") {
  auto listener = listener_of(R"(    name: front
    stat_prefix: edge
    additional_addresses: [ { address: { socket_address: { address: "::1", port_value: 81 } } } ]
    per_connection_buffer_limit_bytes: 4096
    listener_filters_timeout: 1.5s
    continue_on_listener_filters_timeout: true
    enable_reuse_port: false
    tcp_backlog_size: 7
    default_filter_chain: { name: rest, filters: FILTERS })");
  CHECK(listener->name == "front");
  CHECK(listener->stats->prefix() == "listener.edge.");
  REQUIRE(listener->addresses.size() == 2);
  CHECK(listener->addresses[1].to_string() == "[::1]:81");
  CHECK(listener->per_connection_buffer_limit_bytes == 4096);
  CHECK(listener->listener_filters_timeout_ms == 1500);
  CHECK(listener->continue_on_listener_filters_timeout);
  CHECK_FALSE(listener->reuse_port);
  CHECK(listener->backlog == 7);
  CHECK(listener->filter_chains.empty());
  CHECK(listener->default_filter_chain->name == "rest");
}

TEST_CASE("every criterion of a filter chain's match is taken over") {
  auto listener = listener_of(R"(    filter_chains:
    - name: all
      filter_chain_match:
        destination_port: 443
        prefix_ranges: [ { address_prefix: 10.0.0.0, prefix_len: 8 } ]
        source_prefix_ranges: [ { address_prefix: "fd00::", prefix_len: 16 } ]
        direct_source_prefix_ranges: [ { address_prefix: 192.0.2.1 } ]
        source_type: EXTERNAL
        source_ports: [ 1000, 65535 ]
        server_names: [ A.example, "*.B.example" ]
        transport_protocol: tls
        application_protocols: [ h2 ]
      filters: FILTERS)");
  const snapshot::FilterChainMatch& match = listener->filter_chains[0]->match;
  CHECK(match.has_destination_port);
  CHECK(match.destination_port == 443);
  CHECK(match.destination_ranges[0].address.ip_text() == "10.0.0.0");
  CHECK(match.destination_ranges[0].prefix_bits == 8);
  CHECK(match.source_ranges[0].prefix_bits == 16);
  CHECK(match.direct_source_ranges[0].prefix_bits == 0);
  CHECK(match.source_type == snapshot::FilterChainMatch::SourceType::kExternal);
  CHECK(match.source_ports == std::vector<uint16_t>{1000, 65535});
  CHECK(match.server_names == std::vector<std::string>{"a.example", ".b.example"});
  CHECK(match.transport_protocol == "tls");
  CHECK(match.application_protocols == std::vector<std::string>{"h2"});
}

TEST_CASE("the ClientHello is read where a chain asks for what only it tells") {
  for (std::string_view match :
       {"server_names: [ a.example ]", "transport_protocol: tls", "application_protocols: [ h2 ]"}) {
    auto listener =
        listener_of("    filter_chains: [ { filter_chain_match: { " + std::string(match) + " }, filters: FILTERS } ]");
    CHECK(listener->inspect_tls);
  }
}

TEST_CASE("listener filters are switches of the listener") {
  auto listener = listener_of(R"(    listener_filters:
    - { name: tls, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector } }
    - { name: http, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector } }
    - { name: dst, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst } }
    - { name: pp, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol } }
    filter_chains: [ { filters: FILTERS } ])");
  CHECK(listener->inspect_tls);
  CHECK(listener->inspect_http);
  CHECK(listener->use_original_destination);
  CHECK(listener->proxy_protocol);
}

TEST_CASE("a listener may take its connections from another, which hands them off by where they were going") {
  auto listener = listener_of("    bind_to_port: false\n    filter_chains: [ { filters: FILTERS } ]");
  CHECK_FALSE(listener->bind_to_port);
  CHECK_FALSE(listener_of("    deprecated_v1: { bind_to_port: false }\n    filter_chains: [ { filters: FILTERS } ]")
                  ->bind_to_port);
  listener = listener_of("    use_original_dst: true\n    filter_chains: [ { filters: FILTERS } ]");
  CHECK(listener->bind_to_port);
  CHECK(listener->hands_off);
  CHECK(listener->use_original_destination);
}

std::string inspector(const char* filter, const std::string& predicate) {
  return std::string("    filter_chains: [ { filters: FILTERS } ]\n    listener_filters:\n    - name: ") + filter +
         "\n      typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.listener." + filter +
         " }\n      filter_disabled: " + predicate;
}

TEST_CASE("a filter that looks at first bytes may leave ports alone") {
  const std::string http = "http_inspector.v3.HttpInspector";
  auto listener =
      listener_of(inspector(http.c_str(),
                            "{ or_match: { rules: [ { destination_port_range: { start: 3306, end: 3308 } },"
                            " { and_match: { rules: [ { destination_port_range: { start: 5000, end: 6000 } "
                            "}, { not_match: { destination_port_range: { start: 5001, end: 6000 } } } ] } } "
                            "] } }"));
  REQUIRE(listener->http_uninspected_ports != nullptr);
  CHECK(listener->http_uninspected_ports->count() == 3);
  for (uint16_t port : {3306, 3307, 5000}) CHECK(listener->http_uninspected_ports->test(port));
  CHECK(listener->tls_uninspected_ports == nullptr);
  listener = listener_of(inspector("tls_inspector.v3.TlsInspector", "{ any_match: true }"));
  CHECK(listener->tls_uninspected_ports->all());
  CHECK(listener_of(inspector("tls_inspector.v3.TlsInspector", "{}"))->tls_uninspected_ports->none());
  CHECK_THAT(error_of(inspector("original_dst.v3.OriginalDst", "{ any_match: true }")),
             Catch::Contains("listener_filters[0].filter_disabled: is supported for tls_inspector and http_inspector"));
}

TEST_CASE("what a chain's match cannot be is an error at its place") {
  CHECK(contains(match_error("destination_port: 70000"), "destination_port: a port is at most 65535"));
  CHECK(contains(match_error("source_ports: [ 1, 70000 ]"), "source_ports[1]: a port is at most 65535"));
  CHECK(contains(match_error("prefix_ranges: [ { address_prefix: a.example, prefix_len: 8 } ]"), "prefix_ranges[0]"));
  CHECK(contains(match_error("prefix_ranges: [ { address_prefix: 10.0.0.0, prefix_len: 33 } ]"), "prefix_ranges[0]"));
  CHECK(contains(match_error("server_names: [ a.*.example ]"), "server_names[0]: expected a name"));
  CHECK(contains(match_error("server_names: [ \"*\" ]"), "server_names[0]: expected a name"));
}

TEST_CASE("a listener needs chains, a chain needs one filter, and a filter its configuration") {
  CHECK(contains(error_of("    name: empty"), "listeners[0]: a listener needs filter_chains"));
  CHECK(contains(error_of("    filter_chains: [ { name: none } ]"), "filter_chains[0]: a filter chain needs a filter"));
  CHECK(contains(error_of("    filter_chains: [ { filters: [ { name: old } ] } ]"),
                 "filters[0]: filter \"old\" has no typed_config"));
  std::string two(kTcpFilter);
  two.insert(two.rfind(']'), "," + two.substr(1, two.rfind(']') - 1));
  CHECK(contains(error_of("    filter_chains: [ { filters: " + two + " } ]"), "filters[1]: nothing can follow"));
}

}  // namespace
}  // namespace weft::config
