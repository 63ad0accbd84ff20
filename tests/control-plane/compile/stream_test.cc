#include "control-plane/compile/stream.h"

#include <catch2/catch.hpp>
#include <map>

#include "control-plane/compile/cache.h"
#include "control-plane/compile/listener.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::compile {
namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

const Audience kShop = {.namespace_name = "shop", .outbound_port = 15001, .outbound_tcp = {{15432, {"db", 5432}}}};

std::string route(const std::string& kind, const std::string& name, const std::string& parent,
                  const std::string& backends, const std::string& more = "", const std::string& space = "shop") {
  return "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name +
         ", namespace: " + space + "}, spec: {parentRefs: [{group: \"\", kind: Service, name: " + parent +
         ", namespace: shop}], " + more + "rules: [{name: main, backendRefs: [" + backends + "]}]}}\n";
}

TcpProxy proxy_of(const FilterChain& chain) {
  TcpProxy proxy;
  REQUIRE(chain.filters_size() == 1);
  REQUIRE(chain.filters(0).typed_config().UnpackTo(&proxy));
  return proxy;
}

// "a b -> shop/x:1=9 shop/y:1=1": the server names and where they go; "tls" for any, "" for what is not TLS too.
std::string shown(const FilterChain& chain) {
  std::string out;
  for (const std::string& name : chain.filter_chain_match().server_names()) out += name + " ";
  const std::string& transport = chain.filter_chain_match().transport_protocol();
  if (!transport.empty()) out += transport + " ";
  out += "->";
  const TcpProxy proxy = proxy_of(chain);
  if (!proxy.cluster().empty()) return out + " " + proxy.cluster();
  for (const auto& each : proxy.weighted_clusters().clusters()) {
    out += " " + each.name() + "=" + std::to_string(each.weight());
  }
  return out;
}

// The one listener of `resources`, and what it refers to.
struct Compiled {
  explicit Compiled(const std::vector<snapshot::ResourcePointer>& resources) {
    for (const auto& resource : resources) {
      if (resource->type != snapshot::Type::kListener) continue;
      google::protobuf::Any any;
      REQUIRE(any.ParseFromString(resource->any));
      REQUIRE(any.UnpackTo(&listener));
      for (const auto& reference : resource->references) references.insert(reference.name);
    }
  }
  std::vector<std::string> chains(int from = 0) const {
    std::vector<std::string> out;
    for (int i = from; i < listener.filter_chains_size(); ++i) out.push_back(shown(listener.filter_chains(i)));
    return out;
  }
  Listener listener;
  std::set<std::string> references;
};

using Lines = std::vector<std::string>;

TEST_CASE("the outbound listener of those who reach no TLS is one for all of them") {
  MeshFixture mesh;
  mesh.put(service_text("web", "http"));
  Cache cache;
  const auto listener = [&](const Audience& audience) {
    const auto resources = compile_outbound_listener({mesh.model(), audience}, cache);
    REQUIRE(resources.size() == 2);
    CHECK(resources[1]->type == snapshot::Type::kListener);
    return resources[1];
  };
  Audience narrow = kShop;
  narrow.scope = std::vector<registry::HostPattern>{{.namespace_name = "shop", .name = "web"}};
  const auto plain = listener(kShop);
  CHECK(listener(narrow) == plain);
  Audience elsewhere = kShop;
  elsewhere.outbound_port = 15002;
  CHECK(listener(elsewhere)->version != plain->version);
  mesh.put(service_text("pay", "https", 443));
  CHECK(Compiled({listener(kShop)}).listener.filter_chains_size() == 2);
  CHECK(listener(narrow) == plain);
  // Ports that nodes make up are not kept for ever.
  for (uint16_t port = 1; port < 1000; ++port) {
    elsewhere.outbound_port = port;
    elsewhere.scope = narrow.scope;
    listener(elsewhere);
  }
  CHECK(listener(narrow)->version == plain->version);
}

TEST_CASE("a port of outbound_tcp leads to its service, and there is none while there is no service") {
  MeshFixture mesh;
  CHECK(compile_tcp_listeners({mesh.model(), kShop}).empty());
  mesh.put(service_text("db", "tcp"));
  const Compiled compiled(compile_tcp_listeners({mesh.model(), kShop}));
  CHECK(compiled.listener.name() == "outbound_tcp:15432");
  CHECK(compiled.listener.address().socket_address().address() == "127.0.0.1");
  CHECK(compiled.listener.address().socket_address().port_value() == 15432);
  CHECK(compiled.chains() == Lines{"-> shop/db:5432"});
  CHECK(compiled.references == std::set<std::string>{"shop/db:5432"});
  CHECK(compiled.listener.listener_filters().empty());
  // The name alone is its own namespace's.
  Audience other = kShop;
  other.namespace_name = "web";
  CHECK(compile_tcp_listeners({mesh.model(), other}).empty());
  other.outbound_tcp = {{15432, {"db.shop.svc.cluster.local", 5432}}};
  CHECK(compile_tcp_listeners({mesh.model(), other}).size() == 1);
  other.outbound_tcp = {{15432, {"db.shop", 5433}}};
  CHECK(compile_tcp_listeners({mesh.model(), other}).empty());
}

TEST_CASE("the oldest TCPRoute splits by weight, and a share that leads nowhere is closed") {
  MeshFixture mesh;
  mesh.put(service_text("db", "tcp") + service_text("db-2", "tcp"));
  mesh.put(route("TCPRoute", "older", "db",
                 "{name: db, port: 5432, weight: 8}, {name: db-2, port: 5432}, {name: none, port: 1}, "
                 "{name: db, port: 5432, weight: 0}"));
  mesh.put(route("TCPRoute", "newer", "db", "{name: db-2, port: 5432}"));
  const Compiled compiled(compile_tcp_listeners({mesh.model(), kShop}));
  CHECK(compiled.chains() == Lines{"-> shop/db-2:5432=1 shop/db:5432=8 weft/nowhere=1"});
  CHECK(compiled.references == std::set<std::string>{"shop/db:5432", "shop/db-2:5432", "weft/nowhere"});
}

TEST_CASE("a route whose backends take nothing closes every connection") {
  MeshFixture mesh;
  mesh.put(service_text("db", "tcp") + route("TCPRoute", "closed", "db", "{name: db, port: 5432, weight: 0}"));
  CHECK(Compiled(compile_tcp_listeners({mesh.model(), kShop})).chains() == Lines{"-> weft/nowhere"});
}

TEST_CASE("a TCPRoute of the caller's namespace takes the place of the service's own, with a grant") {
  MeshFixture mesh;
  mesh.put(service_text("db", "tcp") + service_text("mine", "tcp", 5432, "web"));
  mesh.put(route("TCPRoute", "own", "db", "{name: db, port: 5432}"));
  mesh.put(route("TCPRoute", "consumer", "db", "{name: mine, port: 5432}, {name: db, namespace: shop, port: 5432}", "",
                 "web"));
  Audience web{.namespace_name = "web", .outbound_tcp = {{15432, {"db.shop", 5432}}}};
  CHECK(Compiled(compile_tcp_listeners({mesh.model(), kShop})).chains() == Lines{"-> shop/db:5432"});
  CHECK(Compiled(compile_tcp_listeners({mesh.model(), web})).chains() == Lines{"-> web/mine:5432=1 weft/nowhere=1"});
  mesh.put(R"(
{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop}, spec: {
  from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: web}], to: [{group: "", kind: Service}]}})");
  CHECK(Compiled(compile_tcp_listeners({mesh.model(), web})).chains() == Lines{"-> shop/db:5432=1 web/mine:5432=1"});
}

TEST_CASE("on a port of its own TLSRoutes go by server name, and the rest by the TCPRoute or nowhere") {
  MeshFixture mesh;
  mesh.put(service_text("db", "tls") + service_text("db-2", "tls"));
  mesh.put(route("TLSRoute", "a", "db", "{name: db-2, port: 5432}", "hostnames: [a.example, \"*.b.example\"], "));
  mesh.put(route("TLSRoute", "later", "db", "{name: db, port: 5432}", "hostnames: [a.example, c.example], "));
  Compiled compiled(compile_tcp_listeners({mesh.model(), kShop}));
  CHECK(compiled.chains() == Lines{"a.example *.b.example -> shop/db-2:5432", "c.example -> shop/db:5432"});
  REQUIRE(compiled.listener.listener_filters_size() == 1);
  CHECK(compiled.listener.listener_filters(0).name() == "envoy.filters.listener.tls_inspector");
  mesh.put(route("TCPRoute", "rest", "db", "{name: db, port: 5432}"));
  compiled = Compiled(compile_tcp_listeners({mesh.model(), kShop}));
  CHECK(compiled.chains(2) == Lines{"-> shop/db:5432"});
  mesh.put(route("TLSRoute", "any", "db", "{name: db-2, port: 5432}"));
  compiled = Compiled(compile_tcp_listeners({mesh.model(), kShop}));
  CHECK(compiled.chains(2) == Lines{"tls -> shop/db-2:5432", "-> shop/db:5432"});
}

TEST_CASE("on the outbound port TLS goes by server name, HTTP as before, and no name stands twice") {
  MeshFixture mesh;
  Cache cache;
  mesh.put(service_text("web", "http", 80));
  Compiled compiled(compile_outbound_listener({mesh.model(), kShop}, cache));
  CHECK(compiled.listener.listener_filters().empty());
  CHECK_FALSE(compiled.listener.filter_chains(0).has_filter_chain_match());

  mesh.put(service_text("vault", "tls", 443) + service_text("vault-2", "tls", 443));
  mesh.put(route("TLSRoute", "split", "vault", "{name: vault, port: 443, weight: 3}, {name: vault-2, port: 443}",
                 "hostnames: [vault.example], "));
  mesh.put(
      "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: ext, namespace: shop}, "
      "spec: {hosts: [vault.example, api.example], ports: [{port: 443, appProtocol: tls}]}}");
  cache = Cache();
  compiled = Compiled(compile_outbound_listener({mesh.model(), kShop}, cache));
  REQUIRE(compiled.listener.filter_chains_size() == 4);
  CHECK(compiled.listener.filter_chains(0).filter_chain_match().transport_protocol() == "raw_buffer");
  const Lines chains = compiled.chains(1);
  CHECK(chains[0] == "vault.example -> shop/vault-2:443=1 shop/vault:443=3");
  CHECK(std::set<std::string>(chains.begin() + 1, chains.end()) ==
        std::set<std::string>{"api.example -> external/shop/ext:443",
                              "vault-2 vault-2.shop vault-2.shop.svc vault-2.shop.svc.cluster.local -> "
                              "shop/vault-2:443"});
  CHECK(compiled.listener.listener_filters_size() == 1);
  CHECK(compiled.references.contains("external/shop/ext:443"));
  CHECK(compiled.references.contains("outbound"));
}

TEST_CASE("a policy's idle time and attempts hold for connections, the rule's over the port's") {
  MeshFixture mesh;
  mesh.put(service_text("db", "tcp") + route("TCPRoute", "r", "db", "{name: db, port: 5432}"));
  const auto policy = [](const std::string& name, const std::string& target, const std::string& sections) {
    return "{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: " + name +
           ", namespace: shop}, spec: {targetRefs: [" + target + "], " + sections + "}}";
  };
  mesh.put(policy("port", "{kind: Service, name: db}", "timeouts: {idle: 5m}, retry: {attempts: 4}"));
  TcpProxy proxy = proxy_of(Compiled(compile_tcp_listeners({mesh.model(), kShop})).listener.filter_chains(0));
  CHECK(proxy.idle_timeout().seconds() == 300);
  CHECK(proxy.max_connect_attempts().value() == 5);
  mesh.put(policy("rule", "{group: gateway.networking.k8s.io, kind: TCPRoute, name: r, sectionName: main}",
                  "timeouts: {idle: 10s}"));
  proxy = proxy_of(Compiled(compile_tcp_listeners({mesh.model(), kShop})).listener.filter_chains(0));
  CHECK(proxy.idle_timeout().seconds() == 10);
  CHECK(proxy.max_connect_attempts().value() == 5);
}

}  // namespace
}  // namespace weft::control::compile
