#include "control-plane/compile/capture.h"

#include <catch2/catch.hpp>
#include <string>

#include "control-plane/compile/inbound.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using registry::AppProtocol;
using snapshot::ResourcePointer;
using snapshot::Type;

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
const Inbound kIntercepted = {.address = "10.0.0.1",
                              .port = 15006,
                              .app_port = 8080,
                              .health = {HealthProbe::Kind::kTcp, "", 1000},
                              .intercepted = true,
                              .transparent = false,
                              .ipv6 = true};

registry::Model cart() {
  registry::Model model;
  auto service = std::make_shared<registry::Service>();
  service->ports = {{"http", 80, AppProtocol::kHttp, 8080},
                    {"tcp-db", 5432, AppProtocol::kTcp, 5432},
                    {"admin", 81, AppProtocol::kDetect, 9090},
                    {"again", 82, AppProtocol::kDetect, 9090},
                    {"unknown", 83, AppProtocol::kHttp, 0}};
  model.services.set(kCart, service);
  return model;
}

template <typename Message>
Message find(const std::vector<ResourcePointer>& resources, Type type, const std::string& name) {
  Message message;
  for (const ResourcePointer& resource : resources) {
    google::protobuf::Any any;
    if (resource->type != type || resource->name != name) continue;
    REQUIRE(any.ParseFromString(resource->any));
    REQUIRE(any.UnpackTo(&message));
    return message;
  }
  FAIL(name << " is missing");
  return message;
}

const FilterChain& chain(const Listener& listener, const std::string& name) {
  for (const FilterChain& each : listener.filter_chains()) {
    if (each.name() == name) return each;
  }
  FAIL(name << " is missing");
  return listener.filter_chains(0);
}

uint32_t port_of(const FilterChain& chain) { return chain.filter_chain_match().destination_port().value(); }

TEST_CASE("every port to which a service leads has its own protocol, and the rest passes") {
  const registry::Model model = cart();
  const auto resources = compile_inbound(kIntercepted, inbound_ports(model, kCart, kIntercepted), {}, {});
  const auto listener = find<Listener>(resources, Type::kListener, "inbound");
  CHECK(listener.address().socket_address().address() == "0.0.0.0");
  CHECK(listener.address().socket_address().port_value() == 15006);
  REQUIRE(listener.additional_addresses_size() == 1);
  CHECK(listener.additional_addresses(0).address().socket_address().address() == "::");
  CHECK_FALSE(listener.has_transparent());
  CHECK(port_of(chain(listener, "inbound/http")) == 8080);
  CHECK(port_of(chain(listener, "inbound:5432/tcp")) == 5432);
  CHECK(port_of(chain(listener, "inbound:9090/http")) == 9090);
  CHECK(port_of(chain(listener, "inbound:9090/tcp")) == 9090);
  CHECK(port_of(chain(listener, "inbound:9090/tls")) == 9090);
  // What is sent to the proxy's own port is not passed to it again.
  CHECK(port_of(chain(listener, "loop")) == 15006);
  CHECK(listener.filter_chains_size() == 7);
  CHECK(listener.default_filter_chain().name() == "any");

  const auto app = find<Cluster>(resources, Type::kCluster, "inbound");
  const auto& address = app.load_assignment().endpoints(0).lb_endpoints(0).endpoint().address().socket_address();
  CHECK(address.address() == "10.0.0.1");
  CHECK(address.port_value() == 8080);
  CHECK(app.upstream_bind_config().source_address().address() == "127.0.0.6");
  CHECK(app.health_checks_size() == 1);
  CHECK(find<Cluster>(resources, Type::kCluster, "inbound:9090").health_checks().empty());
  const auto any = find<Cluster>(resources, Type::kCluster, "inbound/any6");
  CHECK(any.type() == Cluster::ORIGINAL_DST);
  CHECK(any.upstream_bind_config().source_address().address() == "::6");
}

TEST_CASE("first bytes are waited for only where nobody says what is spoken") {
  const registry::Model model = cart();
  const auto resources = compile_inbound(kIntercepted, inbound_ports(model, kCart, kIntercepted), {}, {});
  const auto listener = find<Listener>(resources, Type::kListener, "inbound");
  REQUIRE(listener.listener_filters_size() == 2);
  CHECK(listener.listener_filters(0).name() == "envoy.filters.listener.original_dst");
  CHECK_FALSE(listener.listener_filters(0).has_filter_disabled());
  const auto& rules = listener.listener_filters(1).filter_disabled().not_match().or_match().rules();
  // Envoy wants two at least; the first never holds.
  REQUIRE(rules.size() == 2);
  CHECK(rules[0].not_match().any_match());
  CHECK(rules[1].destination_port_range().start() == 9090);
  CHECK(rules[1].destination_port_range().end() == 9091);
}

TEST_CASE("a workload that is nobody's endpoint passes all that it is sent") {
  Inbound inbound = kIntercepted;
  inbound.app_port = 0;
  inbound.address.clear();
  inbound.ipv6 = false;
  inbound.transparent = true;
  const auto resources = compile_inbound(inbound, inbound_ports(cart(), kCart, inbound), {}, {});
  CHECK(resources.size() == 2);
  const auto listener = find<Listener>(resources, Type::kListener, "inbound");
  CHECK(listener.transparent().value());
  CHECK(listener.additional_addresses().empty());
  CHECK(listener.listener_filters_size() == 1);
  CHECK(listener.filter_chains_size() == 1);
}

std::string cluster_of(const FilterChain& chain) {
  TcpProxy proxy;
  return chain.filters(0).typed_config().UnpackTo(&proxy) ? proxy.cluster() : "no TcpProxy";
}

TEST_CASE("what a STRICT port does not take does not pass as if it were sent to any other") {
  Inbound inbound = kIntercepted;
  inbound.mtls = true;
  std::vector<InboundPort> ports = inbound_ports(cart(), kCart, inbound);
  for (InboundPort& port : ports) port.mtls = registry::MtlsMode::kStrict;
  const auto strict = find<Listener>(
      compile_inbound(inbound, ports, {.mode = registry::MtlsMode::kStrict, .trust_domain = "mesh.example"}, {}),
      Type::kListener, "inbound");
  for (const InboundPort& port : ports) {
    const FilterChain& refused = chain(strict, port.name + "/refused");
    CHECK(port_of(refused) == port.app_port);
    CHECK(cluster_of(refused) == "weft/nowhere");
  }
  CHECK(cluster_of(strict.default_filter_chain()) == "weft/nowhere");
  CHECK(cluster_of(chain(strict, "any6")) == "weft/nowhere");

  for (InboundPort& port : ports) port.mtls = registry::MtlsMode::kPermissive;
  const auto permissive =
      find<Listener>(compile_inbound(inbound, ports, {.trust_domain = "mesh.example"}, {}), Type::kListener, "inbound");
  CHECK(cluster_of(permissive.default_filter_chain()) == "inbound/any");
  REQUIRE(permissive.listener_filters_size() == 3);
  CHECK(permissive.listener_filters(1).name() == "envoy.filters.listener.tls_inspector");
  CHECK(permissive.listener_filters(1).filter_disabled().not_match().or_match().rules_size() == 4);
  CHECK(permissive.listener_filters(2).filter_disabled().not_match().or_match().rules_size() == 2);
}

}  // namespace
}  // namespace weft::control::compile
