#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"
#include "proxy/cluster/keep_hosts.h"
#include "tests/proxy/config/bootstraps.h"

namespace weft::config {
namespace {

constexpr char kTls[] =
    "transport_socket: { name: tls, typed_config: { \"@type\": "
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext } }";
constexpr char kRaw[] =
    "transport_socket: { name: raw, typed_config: { \"@type\": "
    "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer } }";

std::string cluster_with(const std::string& matches) {
  std::string endpoints;
  for (const char* metadata :
       {"{}", "{ tlsMode: weft }", "{ tlsMode: weft, a: { b: 1, c: [ x ] } }", "{ tlsMode: x }"}) {
    endpoints += std::string("{ endpoint: { address: { socket_address: { address: 10.0.0.1, port_value: 1 } } }, ") +
                 "metadata: { filter_metadata: { envoy.transport_socket_match: " + metadata + " } } }, ";
  }
  return bootstrap_of(" []", "\n  - { name: c, type: STATIC, transport_socket_matches: [ " + matches +
                                 " ], load_assignment: { cluster_name: c, endpoints: [ { lb_endpoints: [ " + endpoints +
                                 "] } ] } }\n");
}

}  // namespace

TEST_CASE("the first match that fits all that an endpoint says decides how it is called") {
  auto compiled = compile(cluster_with(std::string("{ name: both, match: { a: { c: [ x ], b: 1 }, tlsMode: weft }, ") +
                                       kTls + " }, { name: mesh, match: { tlsMode: weft }, " + kTls +
                                       " }, { name: rest, match: {}, " + kRaw + " }"));
  INFO(compiled.status());
  REQUIRE(compiled.ok());
  const cluster::Cluster& c = *compiled->find_cluster("c");
  REQUIRE(c.own().transport_matches.size() == 3);
  auto chosen = [&](size_t host) {
    for (const auto& match : c.own().transport_matches) {
      if (match.connector.get() == &c.connector_of(*c.hosts()->priorities[0][host])) return match.name;
    }
    return std::string("none");
  };
  CHECK(chosen(0) == "rest");
  CHECK(chosen(1) == "mesh");
  CHECK(chosen(2) == "both");
  CHECK(chosen(3) == "rest");
}

TEST_CASE("without a match that fits the cluster's own transport counts") {
  auto compiled = compile(cluster_with(std::string("{ name: mesh, match: { tlsMode: weft }, ") + kTls + " }"));
  REQUIRE(compiled.ok());
  const cluster::Cluster& c = *compiled->find_cluster("c");
  CHECK(&c.connector_of(*c.hosts()->priorities[0][0]) == c.own().connector.get());
  CHECK(c.connectors().size() == 2);
}

TEST_CASE("a match needs a name and a transport") {
  std::string error(compile(cluster_with("{ match: {} }")).status().message());
  CHECK(contains(error, "transport_socket_matches[0].name: is empty"));
  CHECK(contains(error, "transport_socket_matches[0].transport_socket: is missing"));
}

TEST_CASE("an endpoint that is to be called otherwise is another host") {
  auto host = [](cluster::TransportCriteria transport) {
    return std::make_shared<cluster::Host>(transport::Address::parse_ip("10.0.0.1", 1), "", 1, std::move(transport));
  };
  cluster::HostSet before;
  before.priorities = {{host({})}};
  std::vector<std::vector<cluster::HostPtr>> same = {{host({})}};
  CHECK_FALSE(cluster::keep_known_hosts(before, same));
  std::vector<std::vector<cluster::HostPtr>> other = {{host({{"tlsMode", "weft"}})}};
  CHECK(cluster::keep_known_hosts(before, other));
  CHECK(other[0][0] != before.priorities[0][0]);
}

}  // namespace weft::config
