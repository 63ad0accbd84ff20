#include "control-plane/compile/capture_outbound.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "control-plane/compile/compile.h"
#include "control-plane/compile/reach.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using snapshot::Type;

const Audience kShop{.namespace_name = "shop", .capture = {.port = 15001}};

constexpr char kServices[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop},
 spec: {clusterIP: 10.1.0.1, clusterIPs: [10.1.0.1, "fd00::1"],
        ports: [{name: http-web, port: 80}, {name: tcp-db, port: 5432}, {name: any, port: 9000}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: kafka, namespace: shop},
 spec: {clusterIP: None, ports: [{name: tcp, port: 9092}, {name: http-admin, port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice,
 metadata: {name: kafka-1, namespace: shop, labels: {kubernetes.io/service-name: kafka}}, addressType: IPv4,
 endpoints: [{addresses: [10.2.0.1]}, {addresses: [10.2.0.2], conditions: {ready: false}}],
 ports: [{name: tcp, port: 9092}, {name: http-admin, port: 8080}]}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: pay, namespace: shop},
 spec: {hosts: [pay.example.com], ports: [{name: tls, port: 443}, {name: http, port: 8080}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: mail, namespace: shop},
 spec: {hosts: [mail.example.com], ports: [{name: tls, port: 443}]}}
)";

struct Compiling {
  explicit Compiling(const std::string& text = kServices, const Audience& audience = kShop) : audience(audience) {
    mesh.put(text);
    compile();
  }
  void compile() {
    cache.emplace();
    compiled = compile_all({mesh.model(), audience}, *cache);
  }
  std::set<std::string> names(Type type, const std::string& prefix = "") const {
    std::set<std::string> out;
    for (const auto& resource : compiled[static_cast<size_t>(type)]) {
      if (resource->name.starts_with(prefix)) out.insert(resource->name);
    }
    return out;
  }
  template <typename Message>
  Message find(Type type, const std::string& name) const {
    Message message;
    for (const auto& resource : compiled[static_cast<size_t>(type)]) {
      google::protobuf::Any any;
      if (resource->name != name) continue;
      REQUIRE(any.ParseFromString(resource->any));
      REQUIRE(any.UnpackTo(&message));
      return message;
    }
    FAIL(name << " is missing");
    return message;
  }
  Listener listener(const std::string& name) const { return find<Listener>(Type::kListener, name); }

  Audience audience;
  MeshFixture mesh;
  std::optional<Cache> cache;
  Compiled compiled;
};

std::string cluster_of(const FilterChain& chain) {
  TcpProxy proxy;
  return chain.filters(0).typed_config().UnpackTo(&proxy) ? proxy.cluster() : "no TcpProxy";
}

std::string route_of(const FilterChain& chain) {
  HttpConnectionManager manager;
  if (!chain.filters(0).typed_config().UnpackTo(&manager)) return "no HttpConnectionManager";
  return manager.has_rds() ? manager.rds().route_config_name() : "inline";
}

std::set<std::string> addresses_of(const Listener& listener) {
  std::set<std::string> out = {listener.address().socket_address().address()};
  for (const auto& each : listener.additional_addresses()) out.insert(each.address().socket_address().address());
  return out;
}

TEST_CASE("each port of a service is listened for on its virtual addresses, with its own protocol") {
  const Compiling c;
  const Listener web = c.listener("captured/shop/cart:80");
  CHECK(addresses_of(web) == std::set<std::string>{"10.1.0.1", "fd00::1"});
  CHECK(web.address().socket_address().port_value() == 80);
  CHECK_FALSE(web.bind_to_port().value());
  CHECK(web.listener_filters().empty());
  REQUIRE(web.filter_chains_size() == 1);
  CHECK(route_of(web.filter_chains(0)) == "shop/cart:80");
  const auto routes = c.find<RouteConfiguration>(Type::kRoute, "shop/cart:80");
  REQUIRE(routes.virtual_hosts_size() == 1);
  CHECK(routes.virtual_hosts(0).domains(0) == "*");
  CHECK(routes.virtual_hosts(0).routes(0).route().cluster() == "shop/cart:80");
  // Nothing is waited for where the server may speak first.
  const Listener db = c.listener("captured/shop/cart:5432");
  CHECK(db.listener_filters().empty());
  CHECK(cluster_of(db.filter_chains(0)) == "shop/cart:5432");
  const Listener any = c.listener("captured/shop/cart:9000");
  CHECK(any.listener_filters_size() == 1);
  CHECK(any.continue_on_listener_filters_timeout());
  REQUIRE(any.filter_chains_size() == 1);
  CHECK(route_of(any.filter_chains(0)) == "shop/cart:9000");
  CHECK(any.filter_chains(0).filter_chain_match().application_protocols_size() == 3);
  // A client of TLS may say in its hello that it will speak HTTP.
  CHECK(any.filter_chains(0).filter_chain_match().transport_protocol() == "raw_buffer");
  CHECK(cluster_of(any.default_filter_chain()) == "shop/cart:9000");
}

TEST_CASE("callers of a headless service reach the endpoint that they chose, if it takes calls") {
  const Compiling c;
  CHECK(c.names(Type::kListener, "captured/shop/kafka") ==
        std::set<std::string>{"captured/shop/kafka:9092@10.2.0.1:9092", "captured/shop/kafka:80@10.2.0.1:8080"});
  const Listener tcp = c.listener("captured/shop/kafka:9092@10.2.0.1:9092");
  CHECK(addresses_of(tcp) == std::set<std::string>{"10.2.0.1"});
  CHECK(cluster_of(tcp.filter_chains(0)) == "shop/kafka:9092@10.2.0.1:9092");
  const auto cluster = c.find<Cluster>(Type::kCluster, "shop/kafka:9092@10.2.0.1:9092");
  CHECK(cluster.type() == Cluster::STATIC);
  CHECK(cluster.load_assignment().endpoints(0).lb_endpoints_size() == 1);
  const Listener http = c.listener("captured/shop/kafka:80@10.2.0.1:8080");
  HttpConnectionManager manager;
  REQUIRE(http.filter_chains(0).filters(0).typed_config().UnpackTo(&manager));
  CHECK(manager.route_config().virtual_hosts(0).routes(0).route().cluster() == "shop/kafka:80@10.2.0.1:8080");
}

TEST_CASE("what lies beyond the mesh is known by its virtual address, and by the names that calls use") {
  const Compiling c;
  const auto& pay = *c.mesh.model().services.find({"shop", "pay", true});
  REQUIRE(pay.assigned.size() == 2);
  CHECK(addresses_of(c.listener("captured/external/shop/pay:443")) ==
        std::set<std::string>(pay.assigned.begin(), pay.assigned.end()));
  const Listener tls = c.listener("captured/any:443");
  CHECK(addresses_of(tls) == std::set<std::string>{"0.0.0.0", "::"});
  REQUIRE(tls.filter_chains_size() == 2);
  CHECK(tls.filter_chains(0).filter_chain_match().server_names(0) == "mail.example.com");
  CHECK(cluster_of(tls.filter_chains(0)) == "external/shop/mail:443");
  CHECK(cluster_of(tls.filter_chains(1)) == "external/shop/pay:443");
  CHECK(cluster_of(tls.default_filter_chain()) == "weft/passthrough");
  const auto routes = c.find<RouteConfiguration>(Type::kRoute, "captured/any:8080");
  REQUIRE(routes.virtual_hosts_size() == 2);
  CHECK(routes.virtual_hosts(0).domains(0) == "pay.example.com:8080");
  CHECK(routes.virtual_hosts(1).domains(0) == "*");
  CHECK(routes.virtual_hosts(1).routes(0).route().cluster() == "weft/passthrough");
  CHECK_FALSE(c.names(Type::kListener).contains("captured/any:80"));
}

constexpr char kWildcards[] = R"(
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: wild, namespace: shop},
 spec: {hosts: ["*.example.com"], resolution: None, ports: [{name: tls, port: 443}, {name: http, port: 80}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: api, namespace: shop},
 spec: {hosts: [api.example.com], ports: [{name: tls, port: 443}, {name: http, port: 80}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: old, namespace: shop},
 spec: {hosts: [old.example], addresses: [192.0.2.7], resolution: None, ports: [{name: tcp, port: 5432}]}}
---
{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: wild, namespace: shop},
 spec: {targetRefs: [{group: weft.mesh, kind: ExternalService, name: wild}], loadBalancer: {algorithm: LeastRequest},
        healthCheck: {interval: 1s, tcp: {}}, outlierDetection: {consecutiveErrors: 3}, circuitBreaker: {maxConnections: 7}}}
)";

TEST_CASE("names below a wildcard go to where the application connected, beside those that another service has") {
  Compiling c(kWildcards);
  const Listener tls = c.listener("captured/any:443");
  REQUIRE(tls.filter_chains_size() == 2);
  std::map<std::string, std::string> by_name;
  for (const FilterChain& chain : tls.filter_chains()) {
    by_name[chain.filter_chain_match().server_names(0)] = cluster_of(chain);
  }
  CHECK(by_name == std::map<std::string, std::string>{{"*.example.com", "external/shop/wild:443"},
                                                      {"api.example.com", "external/shop/api:443"}});
  const auto routes = c.find<RouteConfiguration>(Type::kRoute, "captured/any:80");
  std::map<std::string, std::string> by_domain;
  for (const auto& host : routes.virtual_hosts()) {
    for (const std::string& domain : host.domains()) by_domain[domain] = host.routes(0).route().cluster();
  }
  CHECK(by_domain == std::map<std::string, std::string>{{"*", "weft/passthrough"},
                                                        {"*.example.com", "external/shop/wild:80"},
                                                        {"*.example.com:80", "external/shop/wild:80"},
                                                        {"api.example.com", "external/shop/api:80"},
                                                        {"api.example.com:80", "external/shop/api:80"}});
  // Nobody has an address of its own that is many.
  CHECK(c.names(Type::kListener, "captured/external/shop/wild").empty());
  const auto cluster = c.find<Cluster>(Type::kCluster, "external/shop/wild:80");
  CHECK(cluster.type() == Cluster::ORIGINAL_DST);
  CHECK(cluster.metadata().filter_metadata().at("weft").fields().at("host").string_value() == "*.example.com");
  CHECK(c.names(Type::kEndpoint, "external/").empty());
  // Of a policy what may be said of such a cluster.
  CHECK(cluster.lb_policy() == Cluster::CLUSTER_PROVIDED);
  CHECK(cluster.health_checks().empty());
  CHECK_FALSE(cluster.has_outlier_detection());
  REQUIRE(cluster.circuit_breakers().thresholds_size() == 1);
  CHECK(cluster.circuit_breakers().thresholds(0).max_connections().value() == 7);

  // By its addresses what names no host.
  CHECK(addresses_of(c.listener("captured/external/shop/old:5432")) == std::set<std::string>{"192.0.2.7"});
  CHECK(c.find<Cluster>(Type::kCluster, "external/shop/old:5432").type() == Cluster::ORIGINAL_DST);
}

TEST_CASE("who is not intercepted knows no names whose calls go to where they were made") {
  Compiling c(kWildcards, {.namespace_name = "shop", .outbound_port = 15001});
  const auto routes = c.find<RouteConfiguration>(Type::kRoute, "outbound");
  REQUIRE(routes.virtual_hosts_size() == 1);
  CHECK(routes.virtual_hosts(0).name() == "external/shop/api:80");
}

TEST_CASE("unknown destinations pass as they are, or are refused, HTTP with a reason") {
  Compiling c;
  Listener all = c.listener("captured");
  CHECK(addresses_of(all) == std::set<std::string>{"127.0.0.1", "::1"});
  CHECK(all.use_original_dst().value());
  CHECK(cluster_of(all.default_filter_chain()) == "weft/passthrough");
  // A connection to the proxy itself is not passed to it again.
  REQUIRE(all.filter_chains_size() == 1);
  CHECK(cluster_of(all.filter_chains(0)) == "weft/nowhere");
  CHECK(all.listener_filters_size() == 1);
  CHECK(c.find<Cluster>(Type::kCluster, "weft/passthrough").type() == Cluster::ORIGINAL_DST);

  c.audience.capture.refuses_unknown = true;
  c.audience.capture.ipv6 = false;
  c.compile();
  all = c.listener("captured");
  CHECK(addresses_of(all) == std::set<std::string>{"127.0.0.1"});
  CHECK(cluster_of(all.default_filter_chain()) == "weft/nowhere");
  HttpConnectionManager manager;
  REQUIRE(all.filter_chains(1).filters(0).typed_config().UnpackTo(&manager));
  const auto& answer = manager.route_config().virtual_hosts(0).routes(0).direct_response();
  CHECK(answer.status() == 502);
  CHECK_THAT(answer.body().inline_string(), Catch::Contains("REGISTRY_ONLY"));
  const auto routes = c.find<RouteConfiguration>(Type::kRoute, "captured/any:8080");
  CHECK(routes.virtual_hosts(1).routes(0).direct_response().status() == 502);
}

// What a change of the model makes of a view is what compiling all of it anew makes.
TEST_CASE("a change brings a proxy exactly what it needs, and one service's is small") {
  Compiling c;
  snapshot::View view;
  REQUIRE(view.apply(snapshot::difference(view, c.compiled)).ok());
  const auto change = [&](const std::string& text) {
    const registry::Model before = c.mesh.model();
    c.mesh.put(text);
    registry::ChangeSet changed;
    c.mesh.model().services.for_each([&](const registry::ServiceName& name, const auto& service) {
      if (before.services.find(name) != service) changed.services.insert(name);
      if (before.endpoints.find(name) != c.mesh.model().endpoints.find(name)) changed.endpoints.insert(name);
      if (before.routes.find(name) != c.mesh.model().routes.find(name)) changed.routes.insert(name);
    });
    c.cache->forget(changed);
    const Reach reach_before(before, c.audience);
    const Reach reach_after(c.mesh.model(), c.audience);
    const auto borrowed_before = reach_before.borrowed();
    const auto borrowed_after = reach_after.borrowed();
    const auto changes =
        compile_changes({reach_before, borrowed_before}, {reach_after, borrowed_after}, changed, *c.cache);
    REQUIRE(view.apply(changes).ok());
    Cache fresh;
    const auto left = snapshot::difference(view, compile_all({c.mesh.model(), c.audience}, fresh));
    for (const auto& each : left) CHECK(each.name == "different");
    return changes.size();
  };
  // Listener, route, cluster, endpoints.
  CHECK(change("{apiVersion: v1, kind: Service, metadata: {name: new, namespace: shop}, spec: {clusterIP: 10.1.0.9, "
               "ports: [{name: http, port: 80}]}}") == 4);
  change(
      "{apiVersion: v1, kind: Service, metadata: {name: new, namespace: shop}, spec: {clusterIP: 10.1.0.10, "
      "ports: [{name: tcp, port: 81}]}}");
  change(
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: kafka-1, namespace: shop, labels: "
      "{kubernetes.io/service-name: kafka}}, addressType: IPv4, endpoints: [{addresses: [10.2.0.7]}], ports: "
      "[{name: tcp, port: 9092}]}");
  CHECK(view.find(Type::kListener, "captured/shop/kafka:9092@10.2.0.7:9092") != nullptr);
  CHECK(view.find(Type::kListener, "captured/shop/kafka:9092@10.2.0.1:9092") == nullptr);
  change(
      "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: pay, namespace: shop}, spec: {hosts: "
      "[pay.example.com], ports: [{name: tls, port: 8443}]}}");
  CHECK(view.find(Type::kListener, "captured/any:8443") != nullptr);
  CHECK(view.find(Type::kListener, "captured/any:8080") == nullptr);
}

}  // namespace
}  // namespace weft::control::compile
