#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "control-plane/server/mesh.h"
#include "envoy/config/core/v3/base.pb.h"
#include "tests/control-plane/registry/fed.h"

namespace weft::control::server {
namespace {

using snapshot::Type;

constexpr char kServices[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart-v2, namespace: shop, annotations: {weft.mesh/export-to: .}}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: pay}, spec: {ports: [{port: 80}]}}
)";
constexpr char kSplit[] = R"(
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: split, namespace: shop}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart}], rules: [{backendRefs: [{name: cart-v2, port: 80}]}]}}
)";

struct Fixture {
  Fixture() : mesh(std::make_shared<registry::Model>(), {}) { put(kServices); }

  void put(const std::string& text) { take(fed.put(text)); }
  void erase(const source::Key& key) { take(fed.erase(key)); }
  void take(const registry::ChangeSet& changed) {
    mesh.set(fed.registry().model(), changed, 0);
    mesh.advance(INT64_MAX);
  }

  const snapshot::View& acquire(const std::string& space, const std::string& service,
                                const std::vector<std::string>& scope, const std::string& agent = "envoy") {
    envoy::config::core::v3::Node node;
    node.set_user_agent_name(agent);
    auto& metadata = *node.mutable_metadata()->mutable_fields();
    metadata["namespace"].set_string_value(space);
    metadata["service"].set_string_value(service);
    metadata["outbound_port"].set_number_value(15001);
    for (const std::string& each : scope) {
      metadata["scope"].mutable_list_value()->add_values()->set_string_value(each);
    }
    const auto view = mesh.acquire(node);
    REQUIRE(view.ok());
    return **view;
  }

  registry::Fed fed;
  Mesh mesh;
};

// "pay/till:80 shop/cart:80", without weft's own.
std::string clusters(const snapshot::View& view) {
  std::set<std::string> names;
  view.for_each_name(Type::kCluster, [&](const std::string& name) { names.insert(name); });
  std::string out;
  for (const std::string& name : names) {
    if (!name.starts_with("weft/")) out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

bool routes_by(const snapshot::View& view, const std::string& host) {
  const snapshot::ResourcePointer route = view.find(Type::kRoute, "outbound");
  return route != nullptr && route->any.find(host) != std::string::npos;
}

TEST_CASE("a proxy gets what its namespace may see") {
  Fixture f;
  const snapshot::View& shop = f.acquire("shop", "", {});
  const snapshot::View& pay = f.acquire("pay", "", {});
  CHECK(clusters(shop) == "pay/till:80 shop/cart-v2:80 shop/cart:80");
  CHECK(clusters(pay) == "pay/till:80 shop/cart:80");
  CHECK_FALSE(routes_by(pay, "cart-v2"));
  f.put(R"(
{apiVersion: v1, kind: Service, metadata: {name: cart-v2, namespace: shop, annotations: {weft.mesh/export-to: "., pay"}}, spec: {ports: [{port: 80}]}}
)");
  CHECK(clusters(pay) == "pay/till:80 shop/cart-v2:80 shop/cart:80");
  CHECK(routes_by(pay, "cart-v2.shop"));
  f.put(kServices);
  CHECK(clusters(pay) == "pay/till:80 shop/cart:80");
}

TEST_CASE("a route lends the clusters that it sends to, and no name to call them by") {
  Fixture f;
  const snapshot::View& pay = f.acquire("pay", "", {});
  const snapshot::View& scoped = f.acquire("pay", "till", {"shop/cart"});
  CHECK(clusters(scoped) == "shop/cart:80");
  f.put(kSplit);
  for (const snapshot::View* view : {&pay, &scoped}) {
    CHECK(view->find(Type::kCluster, "shop/cart-v2:80") != nullptr);
    CHECK(view->find(Type::kEndpoint, "shop/cart-v2:80") != nullptr);
    CHECK_FALSE(routes_by(*view, "cart-v2.shop"));
  }
  const snapshot::ResourcePointer before = scoped.find(Type::kEndpoint, "shop/cart-v2:80");
  f.put(R"(
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: v2, namespace: shop, labels: {kubernetes.io/service-name: cart-v2}},
 ports: [{port: 8080}], endpoints: [{addresses: [10.0.0.2]}]}
)");
  CHECK(scoped.find(Type::kEndpoint, "shop/cart-v2:80") != before);
  f.erase({source::Kind::kHttpRoute, "shop", "split"});
  CHECK(clusters(pay) == "pay/till:80 shop/cart:80");
  CHECK(clusters(scoped) == "shop/cart:80");
}

TEST_CASE("whom a proxy must ask about calls it has whatever its scope says, and by the time at which it is to ask") {
  Fixture f;
  envoy::config::core::v3::Node node;
  node.set_id("cart-1");
  node.set_user_agent_name("envoy");
  auto& metadata = *node.mutable_metadata()->mutable_fields();
  metadata["namespace"].set_string_value("shop");
  metadata["service"].set_string_value("cart");
  metadata["app_port"].set_number_value(8080);
  metadata["inbound_address"].set_string_value("10.0.0.1");
  metadata["inbound_port"].set_number_value(15006);
  metadata["scope"].mutable_list_value()->add_values()->set_string_value("~/*");
  const auto acquired = f.mesh.acquire(node);
  INFO(acquired.status().message());
  REQUIRE(acquired.ok());
  const snapshot::View& view = **acquired;
  const snapshot::View& other = f.acquire("shop", "", {"~/*"});
  const auto asks = [&] {
    return view.find(Type::kListener, "inbound")->any.find("weft.ext_authz/") != std::string::npos;
  };
  const auto refuses = [&] {
    return view.find(Type::kListener, "inbound")->any.find("weft.authorization.custom/") != std::string::npos &&
           !asks();
  };
  CHECK(clusters(view) == "inbound");
  f.put(R"(
{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop}, spec: {action: CUSTOM, provider: {name: till}, rules: [{}]}}
)");
  CHECK(refuses());
  f.put(R"(
{apiVersion: weft.mesh/v1, kind: ExternalAuthorizer, metadata: {name: till, namespace: weft-system}, spec: {backendRef: {name: till, namespace: pay, port: 80}, http: {}}}
)");
  CHECK(asks());
  CHECK(clusters(view) == "inbound pay/till:80");
  const snapshot::ResourcePointer before = view.find(Type::kEndpoint, "pay/till:80");
  CHECK(clusters(other).empty());
  f.put(R"(
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: t, namespace: pay, labels: {kubernetes.io/service-name: till}},
 ports: [{port: 8080}], endpoints: [{addresses: [10.0.0.2]}]}
)");
  CHECK(view.find(Type::kEndpoint, "pay/till:80") != before);
  f.erase({source::Kind::kService, "pay", "till"});
  CHECK(refuses());
  CHECK(clusters(view) == "inbound");
  f.put(kServices);
  CHECK(asks());
  f.erase({source::Kind::kAuthorizationPolicy, "shop", "p"});
  CHECK_FALSE((asks() || refuses()));
  CHECK(clusters(view) == "inbound");
}

TEST_CASE("a proxy gets its declared scope, services included that come later") {
  Fixture f;
  const snapshot::View& view = f.acquire("shop", "", {"pay/*", "later"});
  CHECK(clusters(view) == "pay/till:80");
  f.put("{apiVersion: v1, kind: Service, metadata: {name: later, namespace: shop}, spec: {ports: [{port: 80}]}}");
  f.put("{apiVersion: v1, kind: Service, metadata: {name: more, namespace: pay}, spec: {ports: [{port: 80}]}}");
  CHECK(clusters(view) == "pay/more:80 pay/till:80 shop/later:80");
  f.erase({source::Kind::kService, "pay", "till"});
  CHECK(clusters(view) == "pay/more:80 shop/later:80");
  CHECK(clusters(f.acquire("shop", "", {"~/*"})) == "");
}

TEST_CASE("nodes with the same scope share what they run, whatever their service") {
  Fixture f;
  f.acquire("shop", "cart", {"pay/till"});
  f.acquire("shop", "other", {"pay/till"});
  CHECK(f.mesh.view_count() == 1);
}

TEST_CASE("a change touches only those who see the service") {
  Fixture f;
  const snapshot::View& cart = f.acquire("shop", "", {"shop/cart"});
  const snapshot::View& till = f.acquire("shop", "", {"pay/till"});
  const auto before = cart.generation();
  const auto till_before = till.generation();
  f.put(R"(
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: t, namespace: pay, labels: {kubernetes.io/service-name: till}},
 ports: [{port: 8080}], endpoints: [{addresses: [10.0.0.2]}]}
)");
  CHECK(cart.generation() == before);
  CHECK_FALSE(till.generation() == till_before);
}

TEST_CASE("a Scope narrows what nodes get, of a service or a namespace, and gives it back when it goes") {
  Fixture f;
  const snapshot::View& cart = f.acquire("shop", "cart", {});
  const snapshot::View& declared = f.acquire("shop", "other", {"shop/cart", "pay/till"});
  const snapshot::View& client = f.acquire("shop", "", {}, "gRPC Go");
  const auto before = cart.generation();
  f.put("{apiVersion: weft.mesh/v1, kind: Scope, metadata: {name: s, namespace: shop}, spec: {hosts: [\"pay/*\"]}}");
  CHECK(clusters(cart) == "pay/till:80");
  CHECK(clusters(declared) == "pay/till:80");
  CHECK(client.find(Type::kListener, "cart:80") != nullptr);
  CHECK_FALSE(cart.generation() == before);
  CHECK_FALSE(cart.changes_since(before, [](Type, const std::string&) {}));
  f.put(
      "{apiVersion: weft.mesh/v1, kind: Scope, metadata: {name: c, namespace: shop}, spec: {services: [cart], hosts: "
      "[cart]}}");
  CHECK(clusters(cart) == "shop/cart:80");
  CHECK(clusters(declared) == "pay/till:80");
  CHECK(clusters(f.acquire("shop", "cart", {})) == "shop/cart:80");
  f.erase({source::Kind::kScope, "shop", "c"});
  f.erase({source::Kind::kScope, "shop", "s"});
  CHECK(clusters(cart) == "pay/till:80 shop/cart-v2:80 shop/cart:80");
  CHECK(clusters(declared) == "pay/till:80 shop/cart:80");
}

TEST_CASE("what is pushed bit by bit to a scoped proxy is what would be compiled at once") {
  Fixture f;
  const std::vector<std::string> scope = {"shop/cart", "pay/*"};
  const snapshot::View& view = f.acquire("shop", "", scope);
  f.put(kSplit);
  f.put(R"(
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: pay}, spec: {ports: [{port: 81, appProtocol: http}]}}
)");
  f.erase({source::Kind::kService, "shop", "cart-v2"});
  compile::Cache cache;
  compile::Audience audience{.namespace_name = "shop", .outbound_port = 15001};
  audience.scope = {{"pay", "*"}, {"shop", "cart"}};
  const compile::Compiled whole = compile::compile_all({f.fed.model(), audience}, cache);
  for (const Type type : snapshot::kTypes) {
    size_t count = 0;
    view.for_each_name(type, [&](const std::string& name) {
      ++count;
      const snapshot::ResourcePointer expected = snapshot::find(whole[static_cast<size_t>(type)], name);
      REQUIRE(expected != nullptr);
      CHECK(view.find(type, name)->version == expected->version);
    });
    CHECK(count == whole[static_cast<size_t>(type)].size());
  }
}

TEST_CASE(
    "whether unknown destinations are refused is the namespace's or the mesh's word, and changes while nodes run") {
  Fixture f;
  envoy::config::core::v3::Node node;
  node.set_user_agent_name("envoy");
  auto& metadata = *node.mutable_metadata()->mutable_fields();
  metadata["namespace"].set_string_value("shop");
  auto& ports = *metadata["interception"].mutable_struct_value()->mutable_fields();
  ports["outbound_port"].set_number_value(15001);
  ports["inbound_port"].set_number_value(15006);
  const auto view = f.mesh.acquire(node);
  REQUIRE(view.ok());
  const snapshot::ResourcePointer allowing = (*view)->find(Type::kListener, "captured");
  REQUIRE(allowing != nullptr);
  const std::string policy = "spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}}";
  f.put("{apiVersion: weft.mesh/v1, kind: Scope, metadata: {name: mesh, namespace: weft-system}, " + policy);
  const snapshot::ResourcePointer refusing = (*view)->find(Type::kListener, "captured");
  REQUIRE(refusing != nullptr);
  CHECK(refusing != allowing);
  CHECK((*view)->find(Type::kCluster, "pay/till:80") != nullptr);
  f.put(
      "{apiVersion: weft.mesh/v1, kind: Scope, metadata: {name: own, namespace: shop}, spec: {hosts: [\"./*\"], "
      "outboundTrafficPolicy: {mode: ALLOW_ANY}}}");
  CHECK((*view)->find(Type::kListener, "captured") == allowing);
  CHECK((*view)->find(Type::kCluster, "pay/till:80") == nullptr);
}

}  // namespace
}  // namespace weft::control::server
